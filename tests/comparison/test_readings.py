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
from pathlib import Path

import pytest

from monai_lamps.comparison import less_is_better
from monai_lamps.comparison.readings import best_epoch, check_figures, evaluated, is_trained, last_epoch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The output of a training of three epochs, whose second was the best."""
    figures = {"validation/dice": {"first": 0.1, "last": 0.3}, "validation/dice/heart": {"first": 0.1, "last": None}}
    metrics = {"method": "x", "finished": True, "best epoch": 2, "steps": 30, "nothing": None, "figures": figures}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "history.csv").write_text("epoch,step,validation/dice,other\n1,10,0.1,\n2,20,0.5,\n3,30,0.3,7\n")
    return tmp_path


def test_the_last_epoch_gives_numbers_only(folder: Path) -> None:
    figures = last_epoch(folder)
    assert math.isnan(figures.pop("validation/dice/heart"))
    assert figures == {"best epoch": 2, "steps": 30, "validation/dice": 0.3}


def test_the_best_epoch_comes_from_the_history(folder: Path) -> None:
    assert best_epoch(folder)["validation/dice"] == 0.5


def test_a_run_without_a_best_epoch_is_refused(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"finished": true, "best epoch": 4, "figures": {}}')
    with pytest.raises(ValueError, match=r"history.csv' lacks epoch 4, the best; compare the last"):
        best_epoch(folder)
    (folder / "metrics.json").write_text('{"finished": true, "figures": {}}')
    with pytest.raises(ValueError, match=r"metrics.json' names no best epoch; compare the last"):
        best_epoch(folder)


@pytest.mark.parametrize(("text", "trained"), [('{"finished": true}', True), ('{"finished": false}', False), ("[]", 0)])
def test_only_a_finished_training_is_trained(tmp_path: Path, text: str, trained: bool) -> None:
    assert not is_trained(tmp_path)
    (tmp_path / "metrics.json").write_text(text)
    assert is_trained(tmp_path) == bool(trained)


def test_an_evaluation_gives_the_values_without_their_intervals(tmp_path: Path) -> None:
    assert evaluated(tmp_path) is None
    content = {"cases": 4, "figures": {"dice": {"value": 0.5, "lower": 0.4, "upper": 0.6}, "loss/bce": {"value": 1}}}
    (tmp_path / "figures.json").write_text(json.dumps(content))
    assert evaluated(tmp_path) == {"dice": 0.5, "loss/bce": 1.0}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("validation/dise", "it has no figure 'validation/dise': did you mean 'validation/dice'.* It has: \\['loss/a'"),
        ("xyz", "it has no figure 'xyz': there are: loss/a, validation/dice"),
    ],
)
def test_an_absent_figure_is_refused_with_those_present(name: str, message: str) -> None:
    present = {"validation/dice": 1.0, "loss/a": 2.0}
    check_figures(["loss/a"], present, "it")
    with pytest.raises(ValueError, match=message):
        check_figures(["loss/a", name], present, "it")


@pytest.mark.parametrize(
    ("figure", "less"),
    [
        ("validation/dice/heart", False),
        ("test/auroc", False),
        ("validation/hd95_px/heart", True),
        ("montgomery/surface_distance_mm", True),
        ("validation/loss/bce", True),
        ("validation/brier", True),
        ("validation/false_alarm/heart", True),
    ],
)
def test_losses_distances_and_errors_are_better_when_less(figure: str, less: bool) -> None:
    assert less_is_better(figure) == less
