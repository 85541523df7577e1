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

from monai_lamps.comparison import EPOCHS, Plan, Record, Run, carry_out, carry_out_all, comparison_runs, outcome
from monai_lamps.comparison.run import hold

Make = Callable[..., Plan]


@pytest.fixture
def runs(plan: Make, tmp_path: Path) -> list[Run]:
    return comparison_runs(plan(), tmp_path / "out", [])


def test_a_finished_run_is_never_repeated(runs: list[Run], runner: Any) -> None:
    assert list(carry_out_all(runs, runner)) == runs
    assert len(runner.made) == 2 * 2 * 3
    list(carry_out_all(runs, runner))
    assert len(runner.made) == 2 * 2 * 3


def test_runs_go_seed_by_seed_and_lie_in_folders_of_their_own(runs: list[Run], tmp_path: Path) -> None:
    assert [run.title for run in runs[:4]] == [
        "random, 1 image, seed 0", "lamps, 1 image, seed 0", "random, 3 images, seed 0", "lamps, 3 images, seed 0",
    ]  # fmt: skip
    assert runs[3].folder == tmp_path / "out" / "runs" / "lamps" / "shots-3" / "seed-0"
    assert len({run.folder for run in runs}) == len(runs)


def test_a_failed_run_is_noted_with_its_reason_and_the_rest_goes_on(runs: list[Run], runner: Any) -> None:
    def raise_from(run: Run) -> BaseException | None:
        return ValueError("more shots\nthan images") if run is runs[1] else None

    runner.fails = raise_from
    list(carry_out_all(runs[:3], runner))
    states = [outcome(run, EPOCHS["last"]) for run in runs[:4]]
    assert [each.state for each in states] == ["finished", "failed", "finished", "not begun"]
    assert states[1].reason == "ValueError: more shots than images"
    runner.fails = lambda run: None
    list(carry_out_all(runs[:3], runner))
    assert runner.made.count(runs[1].title) == 2  # tried again
    assert runner.made.count(runs[0].title) == 1
    assert outcome(runs[1], EPOCHS["last"]).state == "finished"


def test_the_reason_is_what_was_raised_before_monai_wrapped_it(runs: list[Run]) -> None:
    from monai.bundle import ConfigParser

    def runner(run: Run) -> None:
        ConfigParser({"a": "$int('x')"}).get_parsed_content("a")

    carry_out(runs[0], runner)
    assert Record.read(runs[0].folder).failure.startswith("ValueError: invalid literal for int()")


def test_a_run_that_ends_without_results_has_failed(runs: list[Run]) -> None:
    carry_out(runs[0], lambda run: None)
    assert outcome(runs[0], EPOCHS["last"]).reason == "it ended, but its folder lacks results"


def test_a_signal_ends_all_and_the_run_has_only_begun(runs: list[Run], runner: Any) -> None:
    runner.fails = lambda run: SystemExit(85)
    with pytest.raises(SystemExit):
        carry_out(runs[0], runner)
    assert outcome(runs[0], EPOCHS["last"]).state == "begun"
    runner.fails = lambda run: None
    assert carry_out(runs[0], runner)
    assert outcome(runs[0], EPOCHS["last"]).state == "finished"


def test_a_run_that_another_process_makes_is_left_until_the_end(runs: list[Run], runner: Any) -> None:
    with hold(runs[0].folder) as held:
        assert held
        assert not carry_out(runs[0], runner)
        going = carry_out_all(runs[:3], runner)
        assert [next(going), next(going)] == runs[1:3]
    assert list(going) == [runs[0]]
    assert len(runner.made) == 3


def test_what_another_process_has_just_failed_with_is_not_tried_again(runs: list[Run], runner: Any) -> None:
    runner.fails = lambda run: ValueError("diverged")
    going = carry_out_all(runs[:2], runner)
    next(going)
    carry_out(runs[1], runner)  # as another process does it meanwhile
    assert list(going) == [runs[1]]
    assert len(runner.made) == 2
    list(carry_out_all(runs[:2], runner))
    assert len(runner.made) == 4


def test_the_time_of_all_attempts_is_added_up(runs: list[Run], runner: Any) -> None:
    runs[0].folder.mkdir(parents=True)
    Record(identity=runs[0].identity, seconds=100.0, failure="x").write(runs[0].folder)
    carry_out(runs[0], runner)
    record = Record.read(runs[0].folder)
    assert 100 < record.seconds < 101
    assert record.failure == ""


def test_a_folder_with_other_settings_is_refused(plan: Make, runs: list[Run], runner: Any, tmp_path: Path) -> None:
    carry_out(runs[0], runner)
    other = comparison_runs(plan(common={"learning_rate": 0.5}), tmp_path / "out", [])[0]
    message = r"holds a run that was made with other settings: learning_rate = null there, 0.5 now. Give .*--out"
    with pytest.raises(ValueError, match=message):
        carry_out(other, runner)
    with pytest.raises(ValueError, match=message):
        outcome(other, EPOCHS["last"])


def test_more_seeds_and_figures_leave_finished_runs_as_they_are(
    plan: Make, runs: list[Run], runner: Any, tmp_path: Path
) -> None:
    list(carry_out_all(runs, runner))
    more = comparison_runs(plan(seeds=4, figures=["validation/hd95_px"]), tmp_path / "out", [])
    list(carry_out_all(more, runner))
    assert len(runner.made) == len(runs) + 4


def test_another_file_of_the_same_name_is_another_setting_and_a_moved_one_is_not(
    plan: Make, runner: Any, tmp_path: Path
) -> None:
    def first(encoder: Path) -> Run:
        made = plan(encoders={"lamps": {"encoder": str(encoder)}, "random": {}})
        return comparison_runs(made, tmp_path / "out", [])[0]

    one, two = tmp_path / "one.pt", tmp_path / "longer.pt"
    one.write_bytes(b"weights")
    carry_out(first(one), runner)
    one.rename(two)
    assert carry_out(first(two), runner)
    assert len(runner.made) == 1
    two.write_bytes(b"other weights")
    with pytest.raises(ValueError, match=r'encoder = "sha256 .* there, "sha256 .* now'):
        carry_out(first(two), runner)


def test_a_moved_folder_of_images_is_the_same_setting(plan: Make, runner: Any, tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        run = comparison_runs(plan(common={"data": str(tmp_path / name)}), tmp_path / "out", [])[0]
        carry_out(run, runner)
    assert len(runner.made) == 1


@pytest.mark.parametrize("text", ["{", '{"colour": 1}'])
def test_a_damaged_record_is_named(runs: list[Run], runner: Any, text: str) -> None:
    runs[0].folder.mkdir(parents=True)
    (runs[0].folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run.json' is damaged .* delete '.*seed-0' to make the run again"):
        carry_out(runs[0], runner)


def test_damaged_metrics_are_named(runs: list[Run], runner: Any) -> None:
    carry_out(runs[0], runner)
    (runs[0].folder / "metrics.json").write_text('{"fini')
    with pytest.raises(ValueError, match=r"metrics.json' is damaged .*; delete it, then the run is made again"):
        carry_out(runs[0], runner)
    assert json.loads((runs[0].folder / "run.json").read_text())["failure"] == ""
