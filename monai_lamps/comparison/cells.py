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
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from monai_lamps.metrics.significance import Comparison, holm

from .amount import Amount
from .carry_out import Outcome
from .named_tests import TESTS
from .plan import Plan

__all__ = ["Cell", "Contrast", "cells", "contrasts"]


@dataclass(frozen=True)
class Cell:
    """All runs of one initialisation with one amount of training images, seen by one figure.

    Attributes:
        figure: name of the figure.
        amount: how many training images.
        encoder: name of the initialisation.
        values: figure of each run by seed; a run where it is not defined is left out.
    """

    figure: str
    amount: Amount
    encoder: str
    values: Mapping[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None without a run."""
        return fmean(self.values.values()) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None with fewer than 2 runs."""
        return stdev(self.values.values()) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Contrast:
    """An initialisation against the baseline, in one figure and with one amount of training images.

    Attributes:
        cell: of the initialisation.
        baseline: of the baseline.
        comparison: what the test says; None where it cannot be made.
        corrected: p-value corrected for all contrasts of the table (Holm).
        reason: why there is no comparison.
    """

    cell: Cell
    baseline: Cell
    comparison: Comparison | None
    corrected: float | None = None
    reason: str = ""


def cells(plan: Plan, outcomes: Sequence[Outcome]) -> list[Cell]:
    """Every cell of the table, by figure, amount and initialisation in the plan's order.

    Args:
        plan: what is compared.
        outcomes: of its runs; those that are not finished are left out.
    """
    return [
        Cell(
            figure,
            amount,
            encoder,
            {
                found.run.seed: found.figures[figure]
                for found in outcomes
                if (found.run.encoder, found.run.amount) == (encoder, amount)
                and math.isfinite(found.figures.get(figure, math.nan))
            },
        )
        for figure in plan.figures
        for amount in plan.amounts
        for encoder in plan.encoders
    ]


def contrasts(plan: Plan, table: Sequence[Cell]) -> list[Contrast]:
    """Every initialisation against the baseline, with p-values that are corrected for being several (Holm).

    Args:
        plan: with its baseline and test; "none" gives no contrast.
        table: from :func:`cells`.
    """
    if plan.test == "none":
        return []
    base = {(cell.figure, cell.amount): cell for cell in table if cell.encoder == plan.baseline}
    found = [
        _contrast(plan.test, cell, base[cell.figure, cell.amount]) for cell in table if cell.encoder != plan.baseline
    ]
    corrected = iter(holm([each.comparison.p_value for each in found if each.comparison is not None]))
    return [each if each.comparison is None else replace(each, corrected=next(corrected)) for each in found]


def _contrast(test: str, cell: Cell, baseline: Cell) -> Contrast:
    try:
        return Contrast(cell, baseline, TESTS[test](cell.values, baseline.values))
    except ValueError as error:
        return Contrast(cell, baseline, None, reason=str(error))
