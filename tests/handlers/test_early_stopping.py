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

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from toy_task import segmentation, trainer

from monai_lamps.handlers.checkpoint import CheckpointHandler
from monai_lamps.handlers.early_stopping import EarlyStopping
from monai_lamps.handlers.history import HistoryHandler
from monai_lamps.handlers.resume import ResumeHandler
from monai_lamps.handlers.task_validator import TaskValidator


def run(
    values: Sequence[float],
    patience: int,
    epochs: int = 8,
    folder: Path | None = None,
    start: int = 0,
    **kwargs: Any,
) -> tuple[Any, EarlyStopping, list[int]]:
    """Run with these key figures in its epochs from ``start`` on; which epochs were completed."""
    task, validator = segmentation(), TaskValidator([], "dice", **kwargs)
    told = iter(values[start:])
    validator.measure = lambda *args: {"dice": next(told)}  # type: ignore[method-assign]
    early, history = EarlyStopping(validator, patience), HistoryHandler()
    engine = trainer(task, epochs=epochs)
    handlers: list[Any] = [early, validator, history]
    if folder is not None:
        state = {"method": task, "optimizer": engine.optimizer, "validator": validator, "early": early}
        checkpoint = CheckpointHandler(folder, state, {"task": "toy"})
        handlers = [ResumeHandler(checkpoint), *handlers, checkpoint]
    for handler in handlers:
        handler.attach(engine)
    engine.run()
    return engine, early, [int(row["epoch"]) for row in history.rows]


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "stopped"),
    [
        ([0.1, 0.5, 0.4, 0.5, 0.3, 0.2], 3, 5, True),
        ([0.1, 0.5, 0.4, 0.6, 0.3, 0.2, 0.7, 0.8], 3, 8, False),
        ([math.nan] * 8, 2, 2, True),
        ([0.5] + [0.1] * 7, 7, 8, False),  # the last epoch ends the run by itself
    ],
)
def test_a_run_ends_when_nothing_was_better_for_some_epochs(
    values: list[float], patience: int, epochs: int, stopped: bool
) -> None:
    engine, early, completed = run(values, patience)
    assert completed == list(range(1, epochs + 1))
    assert early.stopped == stopped
    assert engine.state.iteration == 3 * epochs


def test_patience_is_in_epochs_also_where_not_every_epoch_is_judged() -> None:
    _, _, completed = run([0.5, 0.4, 0.3], 3, interval=2)
    assert completed == [1, 2, 3, 4, 5]


def test_a_stopped_run_stays_stopped_when_it_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = [0.1, 0.5, 0.4, 0.4, 0.9]
    first, _, completed = run(values, 2, folder=tmp_path)
    assert completed == [1, 2, 3, 4]
    with caplog.at_level(logging.INFO):
        again, early, completed = run(values, 2, folder=tmp_path, start=4)
    assert completed == []
    assert early.stopped
    assert again.state.iteration == first.state.iteration
    assert "this run was stopped early before: nothing is left to train; raise the patience" in caplog.text


def test_it_says_why_it_stops(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run([0.5, 0.4, 0.3], 2)
        run([math.nan, math.nan], 2)
    assert (
        "stopped after epoch 3: validation/dice has not been better than 0.5 for 2 epochs (best epoch 1)" in caplog.text
    )
    assert "stopped after epoch 2: validation/dice has not been better than nothing for 2 epochs" in caplog.text


def test_ill_patience() -> None:
    with pytest.raises(ValueError, match="patience must be at least 1 epoch, got 0"):
        EarlyStopping(TaskValidator([], "dice"), 0)
