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

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.comparison import Plan, cells, draw, make, spread, write_results

Make = Callable[..., Plan]


@pytest.fixture
def table(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> Callable[..., str]:
    """Make a comparison and give its Markdown."""

    def write(**keys: Any) -> str:
        made = plan(**keys)
        make(made, tmp_path / "out", runner, quiet)
        write_results(made, tmp_path / "out", "a machine", "a command")
        return (tmp_path / "out" / "table.md").read_text()

    return write


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (0.90714, 0.00523, "0.9071 ± 0.0052"),
        (0.90714, 0.0523, "0.907 ± 0.052"),
        (12.345, 3.21, "12.3 ± 3.2"),
        (123.45, 32.1, "123 ± 32"),
        (0.5, 0.0, "0.5000 ± 0.0000"),
        (0.123456, None, "0.1235"),
        (None, None, "-"),
    ],
)
def test_a_mean_has_as_many_digits_as_its_spread_tells(mean: float, sd: float, text: str) -> None:
    assert spread(mean, sd) == text


def test_the_document_says_how_it_was_made(table: Callable[..., str], bundle: Path) -> None:
    text = table(description="Few labels", seeds=6, common={"steps": 4})
    assert text.startswith("# Few labels\n")
    assert f"Bundle `{bundle}` (train.json); 24 of 24 runs finished: 2 initialisations" in text
    assert "seeds 0, 1, 2, 3, 4, 5." in text
    assert "Mean ± standard deviation (n - 1) over the seeds, after the last epoch" in text
    assert "two-sided paired t-test, paired by seed (the same training images and the same seed)" in text
    assert "p corrected for all 2 comparisons of this document (Holm); * means p < 0.05" in text
    assert "a machine." in text
    assert "Made by `a command`." in text
    assert "## validation/dice (more is better)" in text
    assert "| training images | 1 | 3 |" in text
    assert 'lamps | encoder = `"good"` |' in text
    assert "All runs: steps = `4`" in text


def test_a_clear_difference_has_a_star_and_an_unclear_one_none(table: Callable[..., str], runner: Any) -> None:
    line = next(line for line in table(seeds=6).splitlines() if line.startswith("| lamps - random"))
    assert line.count(" *)") == 2
    assert "+0.1" in line
    text = table(seeds=6, encoders={"random": {}, "other": {}})
    other = next(line for line in text.splitlines() if line.startswith("| other - random"))
    assert "*" not in other
    assert "(p = " in other


def test_the_test_is_named_as_it_was_made(table: Callable[..., str]) -> None:
    text = table(test="independent_t")
    assert "two-sided independent two-sample t-test, runs taken as independent of each other" in text
    text = table(test="none")
    assert "Differences from" not in text
    assert "lamps - random" not in text


def test_failed_runs_are_listed_and_the_cell_says_how_many_it_has(table: Callable[..., str], runner: Any) -> None:
    runner.fails = lambda run: ValueError("diverged") if (run.encoder, run.seed) == ("lamps", 2) else None
    text = table()
    assert "- lamps, 3 images, seed 2: ValueError: diverged" in text
    assert text.count("(n = 2)") == 2
    assert "10 of 12 runs finished" in text


def test_what_cannot_be_tested_is_listed_with_the_reason(table: Callable[..., str], runner: Any) -> None:
    runner.fails = lambda run: ValueError("diverged") if run.encoder == "lamps" and run.seed else None
    text = table()
    assert "| lamps - random | not tested | not tested |" in text
    assert "- validation/dice, lamps, 1 image: the paired t-test needs 2 or more seeds" in text


def test_evaluations_and_shares_are_told(plan: Make, tmp_path: Path) -> None:
    made = plan(shots=None, shares=[0.1], section="test", figures=["test/dice"])
    write_results(made, tmp_path / "out", "", "")
    text = (tmp_path / "out" / "table.md").read_text()
    assert '| test | section = `"test"` |' in text
    assert "| share of the training images | 10 % |" in text
    assert "| random | - |" in text


def test_the_best_epoch_on_the_images_that_are_reported_is_called_flattering(plan: Make, tmp_path: Path) -> None:
    write_results(plan(epoch="best"), tmp_path / "out", "", "")
    assert "figures are flattered" in (tmp_path / "out" / "table.md").read_text()


def test_a_picture_without_any_result_has_empty_panels(plan: Make) -> None:
    made = plan()
    picture = draw(made, cells(made, []))
    assert picture.size == (840, 2 * (330 + 60))
