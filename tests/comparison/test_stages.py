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

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monai_lamps.comparison import Plan, make, narrowed, write_results

Make = Callable[..., Plan]
SEARCH = {"search": {"learning_rate": [0.001, 0.01, 0.1]}}


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_search_and_comparison_are_made_and_written(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> None:
    out, made = tmp_path / "out", plan(**SEARCH, description="Stub", common={"steps": 5})
    make(made, out, runner, quiet)
    outcomes = write_results(made, out, "a machine", "a command")
    assert len(runner.made) == 3 * 2 * 2 * 2 + 2 * 2 * 3
    assert {found.run.settings["learning_rate"] for found in outcomes if found.run.encoder == "lamps"} == {0.1}
    assert {found.run.settings["learning_rate"] for found in outcomes if found.run.encoder == "random"} == {0.01}
    chosen = json.loads((out / "search.json").read_text())
    assert [choice["chosen"]["learning_rate"] for choice in chosen] == [0.01, 0.01, 0.1, 0.1]
    assert json.loads((out / "plan.json").read_text())["description"] == "Stub"
    text = (out / "table.md").read_text()
    assert "Every initialisation got the same search (learning_rate: 0.001, 0.01, 0.1; all combinations)" in text
    assert "with the seeds 3, 4, which are not those of the comparison" in text
    assert "At the edge of what was tried, where a wider search may find more: lamps (1 image): learning_rate" in text


def test_the_tables_hold_every_run_and_every_cell(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> None:
    made = plan(figures=["validation/dice", "validation/hd95_px"])
    make(made, tmp_path / "out", runner, quiet)
    write_results(made, tmp_path / "out", "a machine", "a command")
    runs, table = _rows(tmp_path / "out" / "runs.csv"), _rows(tmp_path / "out" / "cells.csv")
    assert len(runs) == 12
    assert len(table) == 8
    own = [float(row["validation/dice"]) for row in runs if (row["encoder"], row["shots"]) == ("lamps", "3")]
    cell = next(
        row for row in table if (row["figure"], row["encoder"], row["shots"]) == ("validation/dice", "lamps", "3")
    )
    assert float(cell["mean"]) == pytest.approx(np.mean(own))
    assert float(cell["sd"]) == pytest.approx(np.std(own, ddof=1))
    assert (cell["runs"], cell["test"], cell["baseline"], cell["tested_runs"]) == (
        "3",
        "paired t-test",
        "random",
        "3+3",
    )
    assert float(cell["p_holm"]) >= float(cell["p"])
    assert (tmp_path / "out" / runs[0]["folder"] / "metrics.json").is_file()
    assert [row["test"] for row in table if row["encoder"] == "random"] == [""] * 4


def test_a_call_after_a_stop_makes_what_is_left(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> None:
    made = plan(**SEARCH)
    runner.fails = lambda run: SystemExit(85) if len(runner.made) == 30 else None
    with pytest.raises(SystemExit):
        make(made, tmp_path / "out", runner, quiet)
    make(made, tmp_path / "out", runner, quiet)
    assert len(runner.made) == 24 + 12 + 1  # the stopped one twice
    assert len(set(runner.made)) == 36
    make(made, tmp_path / "out", runner, quiet)
    assert len(runner.made) == 37


def test_progress_says_how_each_run_went(plan: Make, runner: Any, tmp_path: Path) -> None:
    lines: list[str] = []
    runner.fails = lambda run: ValueError("too few images") if (run.encoder, run.seed) == ("lamps", 0) else None
    make(plan(shots=[1]), tmp_path / "out", runner, lines.append)
    assert lines[0] == "comparison: 6 runs, 0 of them finished"
    assert "comparison [1/6] random, 1 image, seed 0: validation/dice = 0.5" in lines[1]
    assert "comparison [1/6] lamps, 1 image, seed 0: failed: ValueError: too few images" in lines[2]


def test_a_figure_that_runs_do_not_have_stops_after_the_first(
    plan: Make, runner: Any, quiet: Any, tmp_path: Path
) -> None:
    made = plan(figures=["validation/dise/heart"])
    with pytest.raises(ValueError, match="has no figure 'validation/dise/heart': did you mean 'validation/dice'"):
        make(made, tmp_path / "out", runner, quiet)
    assert len(runner.made) == 1
    with pytest.raises(ValueError, match="has no figure 'validation/dise/heart'"):
        write_results(made, tmp_path / "out", "", "")


def test_a_mean_of_figures_is_a_figure(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> None:
    parts = ["validation/dice", "validation/hd95_px"]
    made = plan(figures=["validation/both"], means={"validation/both": parts}, shots=[1], **SEARCH)
    make(made, tmp_path / "out", runner, quiet)
    for found in write_results(made, tmp_path / "out", "", ""):
        assert found.figures["validation/both"] == pytest.approx(5)  # the fake's distance is 10 - dice
    text = (tmp_path / "out" / "table.md").read_text()
    assert "- validation/both is the mean of validation/dice and validation/hd95_px" in text
    assert json.loads((tmp_path / "out" / "search.json").read_text())[0]["tried"][0]["mean"] == pytest.approx(5)
    wrong = plan(figures=["both"], means={"both": ["validation/dise"]})
    with pytest.raises(ValueError, match="has no figure 'validation/dise': did you mean 'validation/dice'"):
        make(wrong, tmp_path / "other", runner, quiet)


def test_a_part_is_made_alone(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> None:
    made = plan(**SEARCH)
    make(narrowed(made, ["encoder=lamps", "shots=3", "seed=0,2"]), tmp_path / "out", runner, quiet)
    assert len(runner.made) == 3 * 2 + 2
    outcomes = write_results(made, tmp_path / "out", "", "")
    finished = [found.run.title for found in outcomes if found.state == "finished"]
    assert finished == ["lamps, 3 images, seed 0", "lamps, 3 images, seed 2"]
    assert {found.reason for found in outcomes if found.run.encoder == "random"} == {"its search is not finished"}
    text = (tmp_path / "out" / "table.md").read_text()
    assert "(n = 2)" in text
    assert "random, 1 image, seed 0: its search is not finished" in text
    assert "## Not tested" in text


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("encoder", "--only must be KEY=VALUE.* with one of the keys \\['encoder', 'shots', 'seed'\\], got 'encoder'"),
        ("encodr=lamps", "unknown key of --only 'encodr': did you mean 'encoder'"),
        ("encoder=lamp", "unknown encoder of --only 'lamp': did you mean 'lamps'"),
        ("seed=7", "unknown seed of --only '7': there are: 0, 1, 2"),
        ("shots=1,2", "unknown shots of --only '2': there are: 1, 3"),
        (
            "encoder=lamps,shots=1",
            "--only takes one key, got .encoder=lamps,shots=1.; give each key an --only of its own",
        ),
    ],
)
def test_an_unknown_part_is_refused(plan: Make, only: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        narrowed(plan(), [only])


def test_a_part_of_shares_is_named_by_them(plan: Make) -> None:
    made = narrowed(plan(shots=None, shares=[0.01, 0.5]), ["share=0.5"])
    assert [amount.value for amount in made.amounts] == [0.5]


def test_the_picture_shows_every_figure(plan: Make, runner: Any, quiet: Any, tmp_path: Path) -> None:
    for figures in (["validation/dice"], ["validation/dice", "validation/hd95_px"]):
        made = plan(figures=figures)
        make(made, tmp_path / "out", runner, quiet)
        write_results(made, tmp_path / "out", "", "")
        picture = Image.open(tmp_path / "out" / "figure.png")
        assert picture.size == (2 * 420 * len(figures), 2 * (330 + 3 * 20))
        colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
        assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colours
