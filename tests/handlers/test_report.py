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

import errno
import json
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events

from monai_lamps.engines import Progress
from monai_lamps.handlers import EarlyStopping, HistoryHandler, ReportHandler, TaskValidator, TermMeansHandler

Make = Callable[..., Any]


def run(make: Make, history: HistoryHandler, report: ReportHandler, stop_at: int | None = None, rank: int = 0) -> Any:
    """Three epochs of four steps; odd epochs train "order", even ones "context"."""
    engine = make(epochs=3, length=4)
    engine.state.rank = rank
    progress = property(lambda self: Progress.at(max(self.state.iteration - 1, 0), 4, 3))
    engine.__class__ = type("Trainer", (type(engine),), {"progress": progress})
    for handler in (TermMeansHandler(), history, report):
        handler.attach(engine)
    if stop_at:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=stop_at), lambda engine: engine.terminate())
    return engine.go()


def read(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(), parse_constant=refuse)
    return metrics


def test_every_figure_has_its_first_and_last_value_and_chance_where_known(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    run(trainer, history, ReportHandler(tmp_path, history, chance={"train/order_accuracy": 0.1, "unknown": 1.0}))
    figures = read(tmp_path)["figures"]
    rows = history.rows
    assert figures["loss/total"] == {"first": rows[0]["loss/total"], "last": rows[2]["loss/total"]}
    assert figures["loss/order"] == {"first": rows[0]["loss/order"], "last": rows[2]["loss/order"]}
    assert figures["loss/context"] == {"first": rows[1]["loss/context"], "last": rows[1]["loss/context"]}
    assert figures["train/order_accuracy"] == {"first": 0.25, "last": 0.25, "chance": 0.1}
    assert set(figures) == set(history.names) - {"epoch", "step"}


def test_a_finished_run_says_so(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    (tmp_path / "encoder.pt").touch()
    files = {"encoder": tmp_path / "encoder.pt", "pictures": tmp_path / "pictures"}
    run(trainer, history, ReportHandler(tmp_path, history, files=files))
    metrics = read(tmp_path)
    metrics.pop("figures")
    assert metrics == {
        "method": "tiny",
        "finished": True,
        "epochs": 3,
        "planned_epochs": 3,
        "steps": 12,
        "files": {"encoder": str(tmp_path / "encoder.pt")},
    }


def test_a_run_stopped_midway_says_so_and_counts_completed_epochs(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    run(trainer, history, ReportHandler(tmp_path, history), stop_at=6)
    metrics = read(tmp_path)
    assert (metrics["finished"], metrics["epochs"], metrics["steps"]) == (False, 1, 6)
    assert ReportHandler.render(metrics).startswith(
        "tiny: stopped early (run the same command again to go on), 1 epoch, 6 steps\n"
    )


@pytest.mark.parametrize(
    ("stopped", "state"),
    [(True, "finished early, since validation has become no better"), (False, "stopped early (run the same command")],
)
def test_a_run_that_early_stopping_has_ended_is_finished(
    tmp_path: Path, trainer: Make, stopped: bool, state: str
) -> None:
    history = HistoryHandler()
    early = EarlyStopping(TaskValidator([], "dice"), patience=1)
    early.stopped = stopped
    run(trainer, history, ReportHandler(tmp_path, history, early=early), stop_at=8)
    metrics = read(tmp_path)
    assert (metrics["finished"], metrics["stopped_early"]) == (stopped, stopped)
    assert ReportHandler.render(metrics).startswith(f"tiny: {state}")


def test_the_figures_that_the_log_shows_can_be_chosen(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    run(trainer, history, ReportHandler(tmp_path, history))
    metrics = read(tmp_path)
    assert "loss/order" in ReportHandler.render(metrics)
    text = ReportHandler.render(metrics, shown=["train/"])
    assert "train/order_accuracy" in text
    assert "loss/order" not in text


def test_a_run_stopped_in_its_first_epoch_has_a_report_without_figures(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    run(trainer, history, ReportHandler(tmp_path, history), stop_at=2)
    metrics = read(tmp_path)
    assert metrics["figures"] == {}
    assert metrics["epochs"] == 0


def test_extra_figures_are_asked_for_at_the_end(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    extra = {"rejected": 0}
    report = ReportHandler(tmp_path, history, extra=lambda: {**extra, "epochs_seen": len(history.rows)})
    extra["rejected"] = 5
    run(trainer, history, report)
    metrics = read(tmp_path)
    assert metrics["rejected"] == 5
    assert metrics["epochs_seen"] == 3


def test_what_is_not_finite_is_null_and_foreign_scalars_are_numbers(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    history.rows = [{"epoch": 1, "step": 4, "loss/old": math.nan}]
    values = {
        "numpy": np.float32(0.5),
        "tensor": torch.tensor(2.0),
        "list": [np.int64(3), math.inf],
        "path": Path("a/b"),
        "flag": True,
        "none": None,
    }
    run(trainer, history, ReportHandler(tmp_path, history, extra=lambda: values))
    metrics = read(tmp_path)
    assert metrics["figures"]["loss/old"] == {"first": None, "last": None}
    assert {name: metrics[name] for name in values} == {
        "numpy": 0.5,
        "tensor": 2.0,
        "list": [3, None],
        "path": "a/b",
        "flag": True,
        "none": None,
    }


def test_the_text_shows_a_figure_a_line_then_the_rest() -> None:
    metrics = {
        "method": "lamps",
        "finished": True,
        "epochs": 2,
        "planned_epochs": 2,
        "steps": 10,
        "figures": {
            "loss/order": {"first": 5.27811, "last": 4.9},
            "order_accuracy": {"first": 0.005, "last": 0.5, "chance": 1 / 196},
            "loss/never a number": {"first": math.nan, "last": math.nan},
            "train/kept_for_the_file": {"first": 1.0, "last": 2.0},
        },
        "rejected_files": 3,
        "files": {"encoder": "out/encoder.pt"},
    }
    lines = ReportHandler.render(metrics).splitlines()
    assert lines[0] == "lamps: finished, 2 epochs, 10 steps"
    assert [line.split() for line in lines[2:]] == [
        ["figure", "first", "last", "chance"],
        ["loss/order", "5.278", "4.9"],
        ["order_accuracy", "0.005", "0.5", "0.005102"],
        ["loss/never", "a", "number", "nan", "nan"],
        [],
        ["rejected_files:", "3"],
        ["encoder:", "out/encoder.pt"],
    ]
    assert len({len(line) for line in (lines[2], lines[4])}) == 1  # columns are aligned


def test_a_run_that_was_stopped_in_its_first_epoch_shows_no_empty_table() -> None:
    metrics = {
        "method": "lamps",
        "finished": False,
        "epochs": 0,
        "planned_epochs": 2,
        "steps": 3,
        "figures": {},
        "rejected_files": 1,
        "files": {"checkpoints": "out/checkpoints"},
    }
    assert ReportHandler.render(metrics).splitlines() == [
        "lamps: stopped early (run the same command again to go on), 0 epochs, 3 steps",
        "",
        "  rejected_files: 1",
        "  checkpoints: out/checkpoints",
    ]


def test_the_report_is_logged(tmp_path: Path, trainer: Make, caplog: pytest.LogCaptureFixture) -> None:
    history = HistoryHandler()
    with caplog.at_level(logging.INFO, "monai_lamps.handlers.report"):
        run(trainer, history, ReportHandler(tmp_path, history))
    (text,) = (record.getMessage() for record in caplog.records if record.name == "monai_lamps.handlers.report")
    assert "tiny: finished, 3 epochs, 12 steps" in text


def test_a_full_disk_does_not_cost_the_report(
    tmp_path: Path, trainer: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    history = HistoryHandler()
    with caplog.at_level(logging.INFO, "monai_lamps.handlers.report"):
        run(trainer, history, ReportHandler(tmp_path, history))
    records = [record for record in caplog.records if record.name == "monai_lamps.handlers.report"]
    assert records[0].getMessage().startswith(f"the report could not be written to '{tmp_path}/metrics.json' ([Errno 2")
    assert "tiny: finished" in records[1].getMessage()


def test_only_the_first_process_reports(tmp_path: Path, trainer: Make) -> None:
    history = HistoryHandler()
    run(trainer, history, ReportHandler(tmp_path, history), rank=1)
    assert os.listdir(tmp_path) == []
