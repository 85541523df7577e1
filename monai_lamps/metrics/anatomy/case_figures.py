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

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from monai_lamps.metrics.figures import Statistic

from .cases import mean_over_cases
from .embedding_metric import EmbeddingMetric

__all__ = ["CaseFigures"]


class CaseFigures(EmbeddingMetric):
    """Base of the metrics that judge one case at a time: a pair of images, or an image against annotated ones.

    Call it with every case, then ``aggregate()``: the mean of each figure over the cases that define it.

    Args:
        names: of the figures.

    Raises:
        ValueError: when there are no names, or one is there twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        if isinstance(names, str) or not names or len(set(names)) != len(names):
            raise ValueError(f"names must be a list of different names, got {names!r}; e.g. ['error_px'].")
        self.names = tuple(names)

    def add(self, figures: Mapping[str, float], patient: object = None) -> None:
        """Keep one case.

        Args:
            figures: by name, NaN where one is not defined.
            patient: whose case it is, for the intervals; a case that names none is a patient of its own.

        Raises:
            ValueError: when a figure is missing.
        """
        missing = [name for name in self.names if name not in figures]
        if missing:
            raise ValueError(f"a case must have all of {list(self.names)}, {missing} missing; use NaN if undefined.")
        row = torch.tensor([[float(figures[name]) for name in self.names]], dtype=torch.float64)
        self.gather(row, groups=[patient])

    def cases(self) -> list[dict[str, float]]:
        """The figures of each case; with several processes of all of them.

        Raises:
            ValueError: when nothing was gathered.
        """
        return [dict(zip(self.names, row)) for row in self._gathered()[0].tolist()]

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """The means as a function of how often each case counts.

        Args:
            gathered: the figures (N, F) and the patients (N,).
        """
        columns = dict(zip(self.names, gathered[0].T))
        return lambda weights: {name: mean_over_cases(values, weights) for name, values in columns.items()}
