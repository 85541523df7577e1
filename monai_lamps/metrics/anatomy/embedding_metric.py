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

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from monai.metrics import Cumulative, Metric
from torch import Tensor

from monai_lamps.metrics.bootstrap import Bootstrap
from monai_lamps.metrics.figures import Statistic

from .cases import group_numbers, groups_of

__all__ = ["EmbeddingMetric"]


class EmbeddingMetric(Metric, Cumulative):
    """Base of the metrics of what embeddings know of anatomy: gathered batch by batch, judged at the end.

    As MONAI's cumulative metrics: call it with every batch, then ``aggregate()``, then ``reset()``; what several
    processes have gathered is put together. A subclass says what a batch is (``__call__``) and how it is judged
    (:meth:`statistic_of`).
    """

    @abstractmethod
    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures of what was gathered as a function of how often each case counts.

        Args:
            gathered: what :meth:`gather` got, of all cases, and the patients last.
        """

    def gather(self, *tensors: Tensor, groups: Sequence[object] | Tensor | None = None) -> None:
        """Keep a batch.

        Args:
            tensors: (B, ...), one case a row.
            groups: patient of each case, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.

        Raises:
            ValueError: when the tensors hold different numbers of cases.
        """
        counts = [len(tensor) for tensor in tensors]
        if len(set(counts)) != 1:
            raise ValueError(f"{type(self).__name__} expects as many cases in every tensor, got {counts}.")
        numbers = group_numbers(groups, counts[0]).to(tensors[0].device)
        self.extend(*(tensor.detach().to(tensors[0].device) for tensor in tensors), numbers)

    def statistic(self) -> Statistic:
        """Figures of all cases as a function of how often each one counts, for :class:`~monai_lamps.metrics.Bootstrap`.

        Raises:
            ValueError: when nothing was gathered.
        """
        return self.statistic_of(*self._gathered())

    def patients(self) -> list[int]:
        """Patient of each case, counted from 0; a case that names none is a patient of its own.

        Raises:
            ValueError: when nothing was gathered.
        """
        groups = self._gathered()[-1]
        return groups_of(groups, len(groups)).tolist()

    def aggregate(self) -> dict[str, float]:
        """The figures of all cases, NaN where one is not defined.

        Raises:
            ValueError: when nothing was gathered.
        """
        return self.statistic()(np.ones(len(self)))

    def intervals(self, bootstrap: Bootstrap | None = None) -> dict[str, tuple[float, float]]:
        """Lower and upper end of each figure, by drawing patients.

        Args:
            bootstrap: how many draws, and of which confidence; 1000 and 95 % by default.

        Raises:
            ValueError: when nothing was gathered.
        """
        return (bootstrap or Bootstrap()).intervals(self.statistic(), self.patients())

    def _gathered(self) -> list[Tensor]:
        gathered = self.get_buffer()
        if gathered is None:
            raise ValueError(f"{type(self).__name__} got no case to judge; call it with a batch first.")
        tensors: list[Tensor] = gathered
        return tensors
