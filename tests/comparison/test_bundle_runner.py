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
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.comparison import EPOCHS, BundleRunner, Plan, Run, carry_out, comparison_runs, outcome, search_runs

Make = Callable[..., Plan]


@pytest.fixture
def first(plan: Make, tmp_path: Path) -> Callable[..., Run]:
    """The first run of a plan with some keys."""

    def make(**keys: Any) -> Run:
        return comparison_runs(plan(**keys), tmp_path / "out", [])[0]

    return make


@pytest.fixture
def runner(bundle: Path) -> BundleRunner:
    return BundleRunner(bundle)


def test_a_bundle_is_run_with_the_settings_of_the_run(first: Callable[..., Run], runner: BundleRunner) -> None:
    run = first(common={"steps": 2}, seeds=[4, 5])
    assert carry_out(run, runner)
    assert outcome(run, EPOCHS["last"]).figures["validation/dice"] == pytest.approx(0.5 + 0.01 + 0.004)
    assert outcome(run, EPOCHS["best"]).figures["validation/dice"] == pytest.approx(1.5 + 0.01 + 0.004)
    assert (run.folder / "steps.txt").read_text() == "0\n1\n"
    log = (run.folder / "run.log").read_text()
    assert "trained 4 1" in log
    assert "Default logging file" in log  # what MONAI logs goes there, too


def test_an_interrupted_run_goes_on_where_it_was(first: Callable[..., Run], runner: BundleRunner) -> None:
    run = first(common={"steps": 3, "stop_at": 2})
    with pytest.raises(SystemExit) as stop:
        carry_out(run, runner)
    assert stop.value.code == 85
    assert outcome(run, EPOCHS["last"]).state == "begun"
    assert (run.folder / "checkpoints").is_dir()
    assert carry_out(run, runner)
    assert (run.folder / "steps.txt").read_text() == "0\n1\n2\n"


def test_checkpoints_of_a_finished_run_are_deleted_and_networks_only_if_so_wished(
    first: Callable[..., Run], plan: Make, runner: BundleRunner, tmp_path: Path
) -> None:
    kept, searched = first(), search_runs(plan(search={"steps": [1]}), tmp_path / "out")[0]
    for run in (kept, searched):
        carry_out(run, runner)
        assert not (run.folder / "checkpoints").exists()
    assert (kept.folder / "best.pt").is_file()
    assert not (searched.folder / "best.pt").exists()


def test_what_a_bundle_raises_is_noted_and_its_traceback_is_in_the_log(
    first: Callable[..., Run], runner: BundleRunner
) -> None:
    run = first(encoders={"a": {"encoder": "broken"}, "b": {}})
    carry_out(run, runner)
    found = outcome(run, EPOCHS["last"])
    assert (found.state, found.reason) == ("failed", "ValueError: encoder 'broken' is of another shape")
    assert "Traceback" in (run.folder / "run.log").read_text()


def test_a_training_that_ends_before_its_end_has_failed(first: Callable[..., Run], runner: BundleRunner) -> None:
    run = first(encoders={"a": {"encoder": "endless"}, "b": {}})
    carry_out(run, runner)
    assert "metrics.json' does not say that it is finished; see" in outcome(run, EPOCHS["last"]).reason


def test_trained_networks_are_judged_on_other_images_too(first: Callable[..., Run], runner: BundleRunner) -> None:
    run = first(section="test", evaluations={"montgomery": {"data": "m.json", "bonus": 0.05}}, common={"data": "j"})
    carry_out(run, runner)
    figures = outcome(run, EPOCHS["last"]).figures
    assert figures["test/dice"] == pytest.approx(figures["validation/dice"] - 0.1)
    assert figures["montgomery/dice"] == pytest.approx(figures["validation/dice"] - 0.05)
    judged = {name: json.loads((run.evaluation_folder(name) / "figures.json").read_text()) for name in run.evaluations}
    assert (judged["test"]["section"], judged["test"]["data"]) == ("test", "j")  # the training's own data
    assert judged["montgomery"]["data"] == "m.json"


def test_an_evaluation_that_comes_later_does_not_train_again(first: Callable[..., Run], runner: BundleRunner) -> None:
    carry_out(first(), runner)
    run = first(section="test", figures=["test/dice"])
    assert not run.complete
    carry_out(run, runner)
    assert run.complete
    assert (run.folder / "steps.txt").read_text() == "0\n1\n2\n"
    changed = first(evaluations={"test": {"bonus": 1.0}}, figures=["test/dice"])
    assert changed.missing_evaluations == ["test"]
    carry_out(changed, runner)
    assert outcome(changed, EPOCHS["last"]).figures["test/dice"] > 1


def test_an_evaluation_without_the_network_says_what_to_do(first: Callable[..., Run], runner: BundleRunner) -> None:
    carry_out(first(keep_networks=False), runner)
    run = first(section="test", figures=["test/dice"])
    carry_out(run, runner)
    reason = outcome(run, EPOCHS["last"]).reason
    assert "best.pt' is not there, so evaluation 'test' cannot be made; delete" in reason


def test_logging_and_streams_are_as_before(
    first: Callable[..., Run], runner: BundleRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    carry_out(first(), runner)
    assert (root.handlers, root.level) == (before, level)
    print("heard")
    assert capsys.readouterr().out == "heard\n"
