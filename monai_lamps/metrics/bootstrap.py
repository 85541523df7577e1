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
from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .figures import Row, Statistic

__all__ = ["Bootstrap", "patients_of"]


@dataclass(frozen=True)
class Bootstrap:
    """Percentile intervals by drawing whole patients with replacement (Efron and Tibshirani, 1993, chapter 13).

    Images of one patient are alike, so drawing images would make the intervals too narrow. In a draw without a single
    positive of a class its figure is not defined; such draws are left out of its interval.

    Args:
        draws: how many samples of patients are drawn, at least 1.
        confidence: share of the draws that the interval holds, above 0 and below 1.
        seed: the same seed gives the same intervals.

    Raises:
        ValueError: when an argument is out of its range.
    """

    draws: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"draws must be at least 1, got {self.draws}; 1000 is usual.")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, got {self.confidence}; e.g. 0.95.")

    def intervals(self, statistic: Statistic, patients: Sequence[object]) -> dict[str, tuple[float, float]]:
        """Lower and upper end of each figure.

        Args:
            statistic: figures of the cases as a function of their weights, from ``figures.statistic(rows)``.
            patients: patient of each case, see :func:`patients_of`.

        Returns:
            (lower, upper) by figure; (NaN, NaN) where no draw defines it, or where there is a single patient.

        Raises:
            ValueError: when there is no case.
        """
        if not len(patients):
            raise ValueError("the bootstrap got no case; check the list of cases.")
        groups = {patient: number for number, patient in enumerate(dict.fromkeys(patients))}
        member = np.array([groups[patient] for patient in patients])
        if len(groups) == 1:
            return dict.fromkeys(statistic(np.ones(len(member))), (np.nan, np.nan))
        random = np.random.default_rng(self.seed)
        drawn = []
        for _ in range(self.draws):
            counts = np.bincount(random.integers(len(groups), size=len(groups)), minlength=len(groups))
            drawn.append(statistic(counts[member].astype(np.float64)))
        ends = [50 * (1 - self.confidence), 50 * (1 + self.confidence)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a figure that no draw defines
            values = {name: np.nanpercentile([draw[name] for draw in drawn], ends) for name in drawn[0]}
        return {name: (float(lower), float(upper)) for name, (lower, upper) in values.items()}


def patients_of(rows: Sequence[Row], key: str = "patient") -> list[object]:
    """The patient of each case; a case that names none is a patient of its own.

    Args:
        rows: the cases.
        key: entry with the patient.
    """
    return [("image", number) if row.get(key) in (None, "") else row[key] for number, row in enumerate(rows)]
