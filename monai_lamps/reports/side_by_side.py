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

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from monai_lamps.metrics import Bootstrap, Statistic

from .table import Entry

__all__ = ["side_by_side"]

_VALUE, _DIFFERENCE = "value", "difference"


def side_by_side(
    statistics: Mapping[str, Statistic], reference: str, patients: Sequence[object], bootstrap: Bootstrap
) -> dict[str, dict[str, Entry]]:
    """Figures of several subjects judged on the same cases, with intervals, and their differences from one of them.

    A draw of the bootstrap is of the same patients for all, so the interval of a difference is that of a paired
    comparison.

    Args:
        statistics: for each subject its figures as a function of the weights of the cases (N,).
        reference: the subject that the others are compared with; one that is not there gives no differences.
        patients: patient of each case.
        bootstrap: draws the intervals.

    Returns:
        for each figure the entry of each subject; what is not finite is None.
    """
    if not statistics:
        return {}
    statistic = _all_and_differences(statistics, reference)
    values, ends = statistic(np.ones(len(patients))), bootstrap.intervals(statistic, patients)
    table: dict[str, dict[str, Entry]] = {}
    for own in values:
        kind, name, figure = own.split("\0")
        if kind == _VALUE:
            apart = _key(_DIFFERENCE, name, figure)
            numbers = (values[own], *ends[own], values.get(apart), *ends.get(apart, (None, None)))
            table.setdefault(figure, {})[name] = Entry(*(_finite(number) for number in numbers))
    return table


def _all_and_differences(statistics: Mapping[str, Statistic], reference: str) -> Statistic:
    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        found = {name: statistic(weights) for name, statistic in statistics.items()}
        base = found.get(reference, {})
        both = {}
        for name, own in found.items():
            both.update({_key(_VALUE, name, figure): value for figure, value in own.items()})
            if name != reference:
                shared = (figure for figure in own if figure in base)
                both.update({_key(_DIFFERENCE, name, figure): own[figure] - base[figure] for figure in shared})
        return both

    return figures


def _key(kind: str, name: str, figure: str) -> str:
    return "\0".join((kind, name, figure))


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None
