# Copyright (c) monai_lamps contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""What a probe is asked and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from monai_lamps.metrics import Statistic

from .case import Case, resize
from .subject import Subject

__all__ = ["Examination", "Finding", "NotJudgedError", "Note", "Probe", "mean_of", "on_cases"]


class NotJudgedError(Exception):
    """The data, or the encoder, do not have what a probe needs; the text says what is missing."""


class Examination:
    """An encoder, the radiographs that it is judged on, and what several probes need of both.

    Args:
        subject: the encoder.
        cases: the radiographs, at least two.
        image_size: side to which whole radiographs are brought for it, px.
    """

    def __init__(self, subject: Subject, cases: Sequence[Case], image_size: int) -> None:
        self.subject, self.cases, self.image_size = subject, list(cases), image_size

    @cached_property
    def images(self) -> Tensor:
        """The whole radiographs (N, 1, s, s)."""
        return torch.stack([resize(case.image, self.image_size) for case in self.cases])

    @cached_property
    def maps(self) -> Tensor:
        """Their feature maps (N, D, h, w)."""
        return self.subject.maps(self.images)


@dataclass(frozen=True)
class Finding:
    """What a probe has found of one encoder.

    Attributes:
        statistic: figures by name as a function of the weights of the cases (N,), for a bootstrap over patients.
        samples: values behind a figure, for a density plot over all encoders; by the name of the plot.
        controls: likewise of the control.
        pictures: by caption.
    """

    statistic: Statistic
    samples: Mapping[str, npt.NDArray[np.floating]] = field(default_factory=dict)
    controls: Mapping[str, npt.NDArray[np.floating]] = field(default_factory=dict)
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """How a figure is read.

    Attributes:
        better: ``more``, ``less``, or an empty text for one that is no merit by itself, such as a control.
        meaning: what it says.
    """

    better: str
    meaning: str


class Probe(ABC):
    """Judges one property of an encoder.

    Attributes:
        name: of the property; its figures are called ``name/figure``.
        about: what is done, for the report.
        notes: how figures are read, by name or pattern (``pck_*``); of several that fit the first counts.
    """

    name: str
    about: str
    notes: Mapping[str, Note]

    def note(self, figure: str) -> Note:
        """How one of its figures is read."""
        return next((note for pattern, note in self.notes.items() if fnmatch(figure, pattern)), Note("", ""))

    @abstractmethod
    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder.

        Raises:
            NotJudgedError: when the data do not allow it.
        """


def on_cases(statistic: Statistic, case_of: Sequence[int]) -> Statistic:
    """A statistic of patches as one of the radiographs that they were cut from.

    Args:
        statistic: figures as a function of the weights of the patches.
        case_of: number of the radiograph of each patch.

    Returns:
        figures as a function of the weights of the radiographs; NaN where none of those with a patch has a weight.
    """
    owner = np.asarray(case_of)
    names = list(statistic(np.ones(len(owner))))

    def weighted(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        own = weights[owner]
        return statistic(own) if own.any() else dict.fromkeys(names, float("nan"))

    return weighted


def mean_of(rows: Sequence[Mapping[str, float]]) -> Statistic:
    """Figures that are means over the cases.

    Args:
        rows: what each case shows; NaN, or nothing at all, where it shows nothing.

    Returns:
        the weighted mean of each figure over the cases that show it; NaN where none does.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], np.float64).reshape(len(rows), -1)
    known = np.isfinite(values)

    def statistic(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        totals = weights @ known
        sums = weights @ np.where(known, values, 0.0)
        return {name: float(s / t) if t > 0 else float("nan") for name, s, t in zip(names, sums, totals)}

    return statistic
