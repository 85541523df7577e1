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

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from monai_lamps.comparison import (
    EPOCHS,
    TESTS,
    Outcome,
    Plan,
    carry_out_all,
    cells,
    comparison_runs,
    contrasts,
    outcome,
)
from monai_lamps.metrics.significance import holm

Make = Callable[..., Plan]


@pytest.fixture
def outcomes(runner: Any, tmp_path: Path) -> Callable[[Plan], list[Outcome]]:
    def make(plan: Plan) -> list[Outcome]:
        runs = comparison_runs(plan, tmp_path / "out", [])
        list(carry_out_all(runs, runner))
        return [outcome(run, EPOCHS["last"]) for run in runs]

    return make


def test_there_is_a_cell_for_every_figure_amount_and_initialisation(plan: Make, outcomes: Any) -> None:
    made = plan(figures=["validation/dice", "validation/hd95_px"])
    table = cells(made, outcomes(made))
    assert [(c.figure, c.amount.value, c.encoder) for c in table][:3] == [
        ("validation/dice", 1, "random"), ("validation/dice", 1, "lamps"), ("validation/dice", 3, "random"),
    ]  # fmt: skip
    assert len(table) == 2 * 2 * 2
    assert all(list(cell.values) == [0, 1, 2] for cell in table)
    assert table[0].mean == pytest.approx(sum(table[0].values.values()) / 3)
    assert table[0].sd == pytest.approx(stats.tstd(list(table[0].values.values())))


def test_pairs_are_formed_by_seed_and_not_by_order(plan: Make, outcomes: Any) -> None:
    made = plan(seeds=4)
    found = outcomes(made)
    straight, shuffled = contrasts(made, cells(made, found)), contrasts(made, cells(made, found[1:] + found[:1]))
    for one, other in zip(straight, shuffled):
        assert one.comparison is not None
        assert other.comparison is not None
        assert one.comparison.p_value == pytest.approx(other.comparison.p_value)


@pytest.mark.parametrize(
    ("test", "reference"),
    [
        ("paired_t", stats.ttest_rel),
        ("wilcoxon", stats.wilcoxon),
        ("independent_t", stats.ttest_ind),
        ("welch", lambda a, b: stats.ttest_ind(a, b, equal_var=False)),
    ],
)
def test_every_contrast_is_tested_and_corrected_for_all(
    plan: Make, outcomes: Any, test: str, reference: Callable[..., Any]
) -> None:
    made = plan(seeds=6, figures=["validation/dice", "validation/hd95_px"], test=test)
    table = cells(made, outcomes(made))
    tested = contrasts(made, table)
    assert len(tested) == 4
    raw = []
    for each in tested:
        assert each.comparison is not None
        assert each.comparison.test == TESTS[test].title
        assert (each.cell.encoder, each.baseline.encoder) == ("lamps", "random")
        assert (each.cell.figure, each.cell.amount) == (each.baseline.figure, each.baseline.amount)
        raw.append(reference(list(each.cell.values.values()), list(each.baseline.values.values())).pvalue)
        assert each.comparison.p_value == pytest.approx(raw[-1])
    assert [each.corrected for each in tested] == pytest.approx(holm(raw))


def test_a_paired_test_takes_the_seeds_that_both_have(plan: Make, outcomes: Any, runner: Any) -> None:
    runner.fails = lambda run: ValueError("x") if (run.encoder, run.seed) == ("lamps", 1) else None
    made = plan(seeds=4)
    tested = contrasts(made, cells(made, outcomes(made)))
    assert tested[0].comparison is not None
    assert tested[0].comparison.runs == (3, 3)
    independent = plan(seeds=4, test="welch")
    comparison = contrasts(independent, cells(independent, outcomes(independent)))[0].comparison
    assert comparison is not None
    assert comparison.runs == (3, 4)


def test_fewer_than_two_shared_seeds_cannot_be_tested_in_pairs(plan: Make, outcomes: Any, runner: Any) -> None:
    runner.fails = lambda run: ValueError("x") if (run.encoder == "lamps") == (run.seed < 2) else None
    made = plan(shots=[1], seeds=4)
    (found,) = contrasts(made, cells(made, outcomes(made)))
    assert found.comparison is None
    assert found.corrected is None
    assert "the paired t-test needs 2 or more seeds that both have finished, got 0 ([2, 3] and [0, 1])" in found.reason
    with pytest.raises(
        ValueError, match=r"needs 2 or more seeds that both have finished, got 1 \(\[0, 1\] and \[1\]\)"
    ):
        TESTS["wilcoxon"]({0: 1.0, 1: 2.0}, {1: 3.0})


def test_a_run_whose_figure_is_not_defined_is_left_out(plan: Make, outcomes: Any, tmp_path: Path) -> None:
    made = plan(shots=[1])
    found = outcomes(made)
    path = found[0].run.folder / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["figures"]["validation/dice"]["last"] = None
    path.write_text(json.dumps(metrics))
    again = [outcome(each.run, EPOCHS["last"]) for each in found]
    assert math.isnan(again[0].figures["validation/dice"])
    assert list(cells(made, again)[0].values) == [1, 2]


def test_without_a_test_there_are_no_contrasts(plan: Make, outcomes: Any) -> None:
    made = plan(test="none", seeds=1)
    assert contrasts(made, cells(made, outcomes(made))) == []
