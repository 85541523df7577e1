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
import logging
from pathlib import Path

import pytest
from ignite.engine import Engine, Events
from toy_task import items, loader, segmentation, trainer

from monai_lamps.handlers import CaseTable, TaskValidator, write_cases


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_cases_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    validator = TaskValidator(loader(items(6)), "loss/bce", greater=True)  # the worst loss, reached at once
    table = CaseTable(tmp_path / "cases.csv", validator)
    seen: list[list[dict]] = []

    class Watch:
        def attach(self, engine: Engine) -> None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen.append(list(validator.cases)))

    task = trainer(segmentation(), epochs=3, handlers=[validator, Watch(), table])
    task.run()
    assert validator.best is not None
    best = seen[validator.best.epoch - 1]
    rows = _rows(tmp_path / "cases.csv")
    assert len(rows) == 6
    assert [float(row["dice/square"]) for row in rows] == pytest.approx([case["dice/square"] for case in best])
    assert list(rows[0])[:3] == ["image", "patient", "index"]


def test_a_disk_error_is_logged_and_training_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    validator = TaskValidator(loader(items(2)), "loss/bce", greater=False)
    run = trainer(segmentation(), epochs=1, handlers=[validator, CaseTable(tmp_path / "file" / "c.csv", validator)])
    with caplog.at_level(logging.ERROR):
        run.run()
    assert run.state.epoch == 1
    assert "could not write" in caplog.text


def test_columns_are_the_union_of_all_rows_and_unknown_is_empty(tmp_path: Path) -> None:
    write_cases(tmp_path / "c.csv", [{"dice/a": 0.5, "image": "x.png", "patient": None}, {"dice/b": 1.0, "image": "y"}])
    assert (tmp_path / "c.csv").read_text().splitlines() == [
        "image,patient,dice/a,dice/b", "x.png,,0.5,", "y,,,1.0"
    ]  # fmt: skip
