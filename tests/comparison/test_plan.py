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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.comparison import Amount, Plan, read_plan

Make = Callable[..., Plan]


def test_a_short_plan_is_filled_with_what_is_usual(plan: Make) -> None:
    made = plan(seeds=None)
    assert made.seeds == tuple(range(10))
    assert (made.baseline, made.test, made.epoch) == ("random", "paired_t", "last")
    assert made.figures == ("validation/dice",)
    assert made.amounts == (Amount("shots", 1), Amount("shots", 3))
    assert [file.name for file in made.config] == ["train.json"]
    assert not made.search
    assert not made.evaluations


def test_all_initialisations_see_the_same_images_with_the_same_seed(plan: Make) -> None:
    made = plan(common={"steps": 7})
    one, other = (made.settings(name, Amount("shots", 3), 5, {"learning_rate": 1.0}) for name in made.encoders)
    assert one == {"shot_seed": 5, "steps": 7, "learning_rate": 1.0, "shots": 3, "seed": 5}
    assert other == {**one, "encoder": "good"}


def test_common_may_fix_the_training_images_for_all_seeds(plan: Make) -> None:
    made = plan(common={"shot_seed": 0})
    assert [made.settings("random", Amount("shots", 3), seed, {})["shot_seed"] for seed in (1, 2)] == [0, 0]


def test_shares_take_the_place_of_shots(plan: Make) -> None:
    made = plan(shots=None, shares=[0.01, 1.0])
    assert [amount.label for amount in made.amounts] == ["1 %", "100 %"]
    assert made.settings("random", made.amounts[0], 0, {})["share"] == 0.01


@pytest.mark.parametrize(
    ("amount", "words", "label"),
    [
        (Amount("shots", 1), "1 image", "1"),
        (Amount("shots", 3), "3 images", "3"),
        (Amount("shots", 0), "all images", "all"),
        (Amount("share", 0.5), "50 % of the images", "50 %"),
    ],
)
def test_amounts_are_named_in_words(amount: Amount, words: str, label: str) -> None:
    assert (amount.words, amount.label) == (words, label)


def test_seeds_of_the_search_follow_those_of_the_comparison(plan: Make) -> None:
    made = plan(seeds=[4, 9], search={"learning_rate": [0.1, 0.2]}, search_seeds=3)
    assert made.search_seeds == (10, 11, 12)
    assert made.search_figure == "validation/dice"


def test_another_section_is_an_evaluation(plan: Make) -> None:
    made = plan(section="test", figures=["test/dice"], evaluations={"montgomery": {"data": "m.json"}})
    assert made.evaluations == {"test": {"section": "test"}, "montgomery": {"data": "m.json"}}


def test_configs_are_found_in_the_bundle_and_elsewhere(plan: Make, tmp_path: Path) -> None:
    preset = tmp_path / "preset.json"
    preset.write_text('{"warmup": 1}')
    made = plan(config=["train.json", str(preset)], common={"warmup": 2})
    assert made.config[1] == preset


def test_changes_replace_parts_of_the_plan(plan: Make) -> None:
    made = plan("encoders.lamps.encoder=other.pt", "common.steps=5", "seeds=[7, 8]", 'encoders.new={"encoder": "x"}')
    assert made.encoders == {"random": {}, "lamps": {"encoder": "other.pt"}, "new": {"encoder": "x"}}
    assert made.common == {"steps": 5}
    assert made.seeds == (7, 8)
    assert made.source["seeds"] == [7, 8]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"shtos": [1]}, "unknown key 'shtos': did you mean 'shots'"),
        ({"xyz": 1}, "unknown key 'xyz': there are: description, bundle"),
        ({"bundle": None}, "'bundle' is missing: the folder of a bundle"),
        ({"encoders": None}, "'encoders' is missing"),
        ({"figures": None}, "'figures' is missing"),
        ({"encoders": {}}, "'encoders' must be an object of named overrides, at least one, got {}"),
        ({"encoders": {"a b": {}}}, "the name 'a b' must be of letters, digits"),
        ({"encoders": {"a": "x.pt"}}, "'a' must be an object of overrides, got 'x.pt'"),
        ({"encoders": {"a": {"encodr": "x"}}}, "'a' needs the id 'encodr', which train.json .* did you mean 'encoder'"),
        ({"common": {"step": 1}}, "'common' needs the id 'step', .* did you mean 'steps'"),
        ({"common": {"seed": 1}}, "'common' gives 'seed', which the comparison itself sets"),
        ({"common": {"output_dir": "x"}}, "'common' gives 'output_dir', which the comparison"),
        ({"encoders": {"a": {"shot_seed": 1}}}, "'a' gives shot_seed, but all must see the same images"),
        ({"baseline": "radnom"}, "unknown baseline 'radnom': did you mean 'random'"),
        ({"baseline": "moco"}, "unknown baseline 'moco': there are: random, lamps"),
        ({"test": "wilcoxn"}, "unknown test 'wilcoxn': did you mean 'wilcoxon'"),
        ({"epoch": "lats"}, "unknown epoch 'lats': did you mean 'last'"),
        ({"shots": None}, "exactly one of shots and shares"),
        ({"shares": [0.5]}, "exactly one of shots and shares"),
        ({"shots": [1, 1]}, "'shots' must be a list of different numbers of images, 0 for all, got \\[1, 1\\]"),
        ({"shots": [-1]}, "'shots' must be"),
        ({"shots": None, "shares": [0]}, "'shares' must be a list of different shares above 0"),
        ({"seeds": 0}, "'seeds' must be a number of seeds from 1"),
        ({"seeds": [1, True]}, "'seeds' must be"),
        ({"seeds": 1}, "1 seed leaves nothing to test; give 2 or more .* or test 'none'"),
        ({"figures": []}, "'figures' must be the name of a figure, or a list of them"),
        ({"means": {"both": "x"}}, "'means' must be an object that gives a list of figures for each name"),
        ({"keep_networks": 1}, "'keep_networks' must be true or false, got 1"),
        ({"search": {"learning_rate": 0.1}}, "'search' must be an object that gives a list of values for each id"),
        ({"search": {"learning_rates": [0.1]}}, "'search' needs the id 'learning_rates', .* did you mean"),
        ({"search": {"shot_seed": [1]}}, "'search' gives shot_seed"),
        ({"search": {"encoder": ["x"]}}, "'lamps' gives \\['encoder'\\], which is searched for every initialisation"),
        (
            {"search": {"steps": [1]}, "search_seeds": [2, 5]},
            "the seeds \\[2\\] are of the search and of the comparison",
        ),
        ({"search": {"steps": [1]}, "section": "test", "figures": ["test/dice"]}, "a search needs search_figure"),
        ({"evaluations": {"validation": {}}}, "an evaluation cannot be called 'validation'"),
        ({"evaluations": {"m": {"datas": ""}}}, "evaluation 'm' needs the id 'datas', which evaluate.json"),
        ({"evaluations": {"m": {"network_file": ""}}}, "evaluation 'm' gives 'network_file', which the comparison"),
        ({"shots": None, "shares": [0.5], "search": {"steps": [1]}, "search_shots": [1]}, "search_shots .* shares"),
    ],
)
def test_a_wrong_plan_is_refused_with_what_to_mend(plan: Make, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"plan '.*plan.json': .*" + message):
        plan(**keys)


def test_the_nested_overrides_of_monai_count_by_their_first_part(plan: Make) -> None:
    made = plan(common={"path#x": 1})
    assert made.common == {"path#x": 1}
    with pytest.raises(ValueError, match=r"needs the id 'paths#x'.* did you mean 'path'"):
        plan(common={"paths#x": 1})


def test_a_bundle_without_seeds_cannot_be_compared(plan: Make, tmp_path: Path) -> None:
    (tmp_path / "other" / "configs").mkdir(parents=True)
    (tmp_path / "other" / "configs" / "train.json").write_text('{"output_dir": ""}')
    with pytest.raises(ValueError, match=r"a comparison needs the id 'seed', which train.json does not have"):
        plan(bundle=str(tmp_path / "other"))


def test_a_bundle_or_config_that_is_not_there_is_named(plan: Make) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no bundle in 'nowhere' .*relative paths count from"):
        plan(bundle="nowhere")
    with pytest.raises(FileNotFoundError, match=r"there is no config 'few.json', neither in"):
        plan(config=["train.json", "few.json"])


@pytest.mark.parametrize("text", ["{", "\xff"])
def test_a_file_that_is_not_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"plan '.*p.json' is not JSON"):
        read_plan(path)


def test_a_list_is_not_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([1]))
    with pytest.raises(ValueError, match="must be a JSON object with the keys description, bundle"):
        read_plan(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seeds", "a change of the plan must be KEY=VALUE, got 'seeds'"),
        ("common..steps=1", "a change of the plan must be KEY=VALUE"),
        ("seeds.first=1", "'seeds.first' leads through 'seeds', which is 3 and has no parts"),
    ],
)
def test_a_change_that_leads_nowhere_is_refused(plan: Make, change: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(change)
