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

from monai_lamps.comparison import EPOCHS, Amount, Choice, Outcome, Plan, carry_out_all, choose, outcome, search_runs
from monai_lamps.comparison.search import combinations

Make = Callable[..., Plan]
GRID = {"learning_rate": [0.001, 0.01, 0.1], "decoder": ["unet", "upernet"]}


@pytest.fixture
def searched(runner: Any, tmp_path: Path) -> Callable[[Plan], list[Outcome]]:
    def make(plan: Plan) -> list[Outcome]:
        runs = search_runs(plan, tmp_path)
        list(carry_out_all(runs, runner))
        return [outcome(run, EPOCHS["last"]) for run in runs]

    return make


def test_every_initialisation_gets_the_same_search(plan: Make, tmp_path: Path) -> None:
    runs = search_runs(plan(search=GRID), tmp_path)
    assert len(runs) == 6 * 2 * 2 * 2
    assert len({run.folder for run in runs}) == len(runs)
    tried = {name: [(r.trying, r.amount, r.seed) for r in runs if r.encoder == name] for name in ("random", "lamps")}
    assert tried["random"] == tried["lamps"]
    assert {run.seed for run in runs} == {3, 4}  # the comparison has 0, 1 and 2
    assert not any(run.keep_networks for run in runs)


def test_the_best_mean_is_taken_for_each_initialisation_and_amount(plan: Make, searched: Any) -> None:
    made = plan(search=GRID)
    choices = choose(made, searched(made))
    assert [(c.encoder, c.amounts, c.settings["learning_rate"]) for c in choices] == [
        ("random", (Amount("shots", 1),), 0.01),
        ("random", (Amount("shots", 3),), 0.01),
        ("lamps", (Amount("shots", 1),), 0.1),
        ("lamps", (Amount("shots", 3),), 0.1),
    ]
    assert choices[0].settings["decoder"] == "unet"  # the first of equal ones
    assert len(choices[0].candidates) == 6
    assert [choice.edges for choice in choices] == [(), (), ("learning_rate",), ("learning_rate",)]


def test_a_search_at_one_amount_holds_for_all(plan: Make, searched: Any, tmp_path: Path) -> None:
    made = plan(search=GRID, search_shots=[2])
    outcomes = searched(made)
    assert {found.run.amount for found in outcomes} == {Amount("shots", 2)}
    choices = choose(made, outcomes)
    assert [(choice.encoder, choice.amounts) for choice in choices] == [
        ("random", made.amounts),
        ("lamps", made.amounts),
    ]
    assert choices[1].record()["searched at"] == ["2 images"]


def test_of_a_distance_the_least_is_taken(plan: Make, searched: Any) -> None:
    made = plan(search={"learning_rate": [0.001, 0.01]}, search_figure="validation/hd95_px")
    assert choose(made, searched(made))[0].settings == {"learning_rate": 0.01}  # the fake's distance is 10 - dice


def test_a_setting_that_fails_with_one_seed_is_not_taken(plan: Make, searched: Any, runner: Any) -> None:
    runner.fails = lambda run: (
        RuntimeError("out of memory") if (run.seed, run.trying["learning_rate"]) == (4, 0.01) else None
    )
    made = plan(search={"learning_rate": [0.001, 0.01]}, shots=[1])
    choice = choose(made, searched(made))[0]
    assert choice.settings == {"learning_rate": 0.001}
    assert choice.candidates[1].failures == ("RuntimeError: out of memory",)
    assert math.isnan(choice.candidates[1].mean)
    assert choice.record()["tried"][1]["mean"] is None


def test_a_setting_without_the_figure_is_not_taken(plan: Make, searched: Any) -> None:
    made = plan(search={"learning_rate": [0.001, 0.01]}, shots=[1])
    found = next(each for each in searched(made) if each.run.trying == {"learning_rate": 0.01})
    path = found.run.folder / "metrics.json"
    path.write_text(json.dumps({"finished": True, "figures": {"validation/dice": {"last": None}}}))
    choice = choose(made, [outcome(run, EPOCHS["last"]) for run in search_runs(made, path.parents[5])])[0]
    assert choice.settings == {"learning_rate": 0.001}
    assert choice.candidates[1].failures == ("validation/dice is not defined",)
    json.dumps(choice.record(), allow_nan=False)


def test_a_search_that_finds_nothing_says_why(plan: Make, searched: Any, runner: Any) -> None:
    runner.fails = lambda run: RuntimeError("out of memory") if run.encoder == "lamps" else None
    made = plan(search={"learning_rate": [0.001, 0.01]})
    message = r"found nothing for 'lamps' at 1 image: no combination was finished with all seeds \[3, 4\]; Runt.*memory"
    with pytest.raises(ValueError, match=message):
        choose(made, searched(made))


def test_an_unfinished_search_chooses_nothing(plan: Make, tmp_path: Path) -> None:
    made = plan(search={"learning_rate": [0.001, 0.01]}, shots=[1])
    outcomes = [outcome(run, EPOCHS["last"]) for run in search_runs(made, tmp_path)]
    with pytest.raises(
        ValueError, match=r"the search for 'random' is not finished: 4 runs, e.g. random, 1 image, seed 3"
    ):
        choose(made, outcomes)


def test_a_key_figure_that_runs_do_not_have_is_refused(plan: Make, searched: Any) -> None:
    made = plan(search={"learning_rate": [0.001]}, search_figure="validation/dise")
    with pytest.raises(ValueError, match="has no figure 'validation/dise': did you mean 'validation/dice'"):
        choose(made, searched(made))


def test_long_settings_have_folders_of_their_own(plan: Make, tmp_path: Path) -> None:
    grid = {"data": ["x" * 200 + "a", "x" * 200 + "b"]}
    runs = search_runs(plan(search=grid), tmp_path)
    assert len({run.folder for run in runs}) == len(runs)
    assert max(len(part) for run in runs for part in run.folder.parts) <= 100


def test_no_search_has_no_combinations() -> None:
    assert combinations({}) == []
    assert combinations({"a": [1, 2], "b": [3]}) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]


def test_a_choice_can_be_written_down() -> None:
    amount = Amount("shots", 3)
    assert Choice("a", (amount,), (amount,), {"x": 1}, ()).record()["chosen"] == {"x": 1}
