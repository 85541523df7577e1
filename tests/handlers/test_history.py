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
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events

from monai_lamps.handlers import CheckpointHandler, HistoryHandler, ResumeHandler, history


def figures(engine: Any) -> None:
    epoch = engine.state.epoch
    engine.state.metrics = {"loss": torch.tensor(1.0 / epoch), "maps": torch.zeros(2), "n": np.float32(epoch)}
    if epoch > 1:
        engine.state.metrics["rank"] = float(epoch)


def test_it_keeps_scalars_of_every_epoch_as_floats_and_writes_the_union_of_columns(
    tmp_path: Path, trainer: Callable[..., Any]
) -> None:
    engine, handler = trainer(epochs=3, length=2), HistoryHandler(tmp_path / "out")
    handler.attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, figures)
    engine.go()
    assert handler.rows[0] == {"epoch": 1, "step": 2, "loss": 1.0, "n": 1.0}
    assert {type(value) for row in handler.rows for value in row.values()} == {int, float}
    assert (handler.first("rank"), handler.last("rank"), handler.values("n")) == (2.0, 3.0, [1.0, 2.0, 3.0])
    with (tmp_path / "out" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "loss", "n", "rank"] == handler.names
    assert [row["rank"] for row in rows] == ["", "2.0", "3.0"]


def test_a_resumed_run_keeps_it(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    for epochs in (2, 3):
        engine, handler = trainer(epochs=epochs, length=2), HistoryHandler(tmp_path)
        checkpoint = CheckpointHandler(tmp_path / "checkpoints", {"history": handler}, {})
        for item in (checkpoint, ResumeHandler(checkpoint), handler):
            item.attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, figures)
        engine.go()
    assert [row["epoch"] for row in handler.rows] == [1, 2, 3]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 4


def test_an_unknown_figure_names_those_there_are() -> None:
    handler = HistoryHandler()
    handler.load_state_dict({"rows": [{"epoch": 1, "loss": 2.0}]})
    with pytest.raises(KeyError, match=r"no epoch has a figure 'los'; there are \['epoch', 'loss'\]"):
        handler.last("los")


def test_a_disk_error_is_logged_and_training_goes_on(
    tmp_path: Path, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(history, "atomic_write", full)
    engine, handler = trainer(epochs=2, length=2), HistoryHandler(tmp_path)
    handler.attach(engine)
    engine.go()
    assert len(handler.rows) == 2
    assert "could not write" in caplog.text
    assert "training goes on" in caplog.text


def test_other_ranks_keep_it_but_do_not_write(
    tmp_path: Path, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history.idist, "get_rank", lambda: 1)
    engine, handler = trainer(epochs=1, length=2), HistoryHandler(tmp_path)
    handler.attach(engine)
    engine.go()
    assert len(handler.rows) == 1
    assert list(tmp_path.iterdir()) == []
