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

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["Figures", "Row", "Statistic"]

_LOGGER = logging.getLogger(__name__)

#: what is known of one case: numbers by name, NaN where there is none; ready to be a line of a CSV file
Row = dict[str, Any]
#: from the weights of the cases (n,) to figures by name
Statistic = Callable[[npt.NDArray[np.float64]], dict[str, float]]


class Figures(ABC):
    """What a supervised task is judged by: a row for each case, and figures of all rows.

    Rows are plain numbers, so that processes can hand them to each other, a CSV file can hold them, and any subset of
    cases can be summed up again (:class:`~monai_lamps.metrics.Bootstrap`).

    Args:
        names: what is judged, structures or classes, in the order of the channels.

    Raises:
        ValueError: when there are no names, or one is there twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        if isinstance(names, str) or not names or len(set(names)) != len(names):
            raise ValueError(f"names must be a list of different names, got {names!r}; e.g. ['heart'].")
        self.names = tuple(names)
        self._warned: set[str] = set()

    @abstractmethod
    def rows(self, probabilities: Tensor, batch: Mapping[str, Any]) -> list[Row]:
        """What each case of a batch shows.

        Args:
            probabilities: the task's answer, (B, K, ...), float in [0, 1].
            batch: what was asked, collated.
        """

    @abstractmethod
    def statistic(self, rows: Sequence[Row]) -> Statistic:
        """The figures of these cases as a function of how often each one counts."""

    def summary(self, rows: Sequence[Row]) -> dict[str, float]:
        """The figures of these cases, NaN where one is not defined.

        Args:
            rows: from :meth:`rows`, at least one.

        Raises:
            ValueError: when there is no row.
        """
        if not rows:
            raise ValueError(f"{type(self).__name__} got no case to judge; check the list of cases.")
        return self.statistic(rows)(np.ones(len(rows)))

    def channels(self, rows: Sequence[Row], figure: str) -> npt.NDArray[np.float64]:
        """One figure of every case and name, (n, K), NaN where a row has none."""
        values = [[row.get(f"{figure}/{name}", np.nan) for name in self.names] for row in rows]
        return np.array(values, dtype=np.float64).reshape(len(rows), len(self.names))

    def warn_undefined(self, figure: str, names: Sequence[str], reason: str) -> None:
        """Log, once for each set of names, that a figure is not defined for them and left out of its mean."""
        message = (
            f"{figure} is not defined for {len(names)} of {len(self.names)} ({', '.join(names)}): {reason}. "
            "It is NaN there and left out of the mean."
        )
        if names and message not in self._warned:
            self._warned.add(message)
            _LOGGER.warning(message)
