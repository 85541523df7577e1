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
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events

from monai_lamps.handlers import CheckpointHandler, HistoryHandler, checkpoint, list_checkpoints, verify_checkpoint

IDENTITY = {"method": "tiny"}


def steps(folder: Path) -> list[int]:
    return [int(path.stem[5:]) for path in list_checkpoints(folder)]


def test_it_saves_each_epoch_and_keeps_the_last_two(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    engine = trainer(epochs=4, length=3)
    handler = CheckpointHandler(tmp_path / "a" / "checkpoints", {"method": engine.method}, IDENTITY)
    handler.attach(engine)
    engine.go()
    assert steps(handler.directory) == [12, 9]
    assert handler.last_saved == handler.directory / "step=000000012.pt"
    assert verify_checkpoint(handler.last_saved)["epoch"] == 4
    contents = torch.load(handler.last_saved, weights_only=True)
    assert contents["trainer"] == {"step": 12}
    assert torch.equal(contents["method"]["layer.weight"], engine.method.layer.weight)
    assert handler.failures == 0


def test_every_third_epoch_and_the_last_one(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    engine = trainer(epochs=7, length=1)
    CheckpointHandler(tmp_path, {}, IDENTITY, every_epochs=3, keep=5).attach(engine)
    engine.go()
    assert steps(tmp_path) == [7, 6, 3]


def test_by_the_clock_it_saves_between_epochs_and_once_at_an_epochs_end(
    tmp_path: Path, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, now = trainer(epochs=2, length=6), [0.0]
    handler = CheckpointHandler(tmp_path, {}, IDENTITY, 99, every_minutes=2.0, keep=9, clock=lambda: now[0])
    handler.attach(engine)
    engine.hook = lambda _: now.__setitem__(0, now[0] + 60.0)
    saved: list[int] = []
    write = checkpoint.write_checkpoint

    def note(*args: Any, **kwargs: Any) -> Path:
        saved.append(kwargs["step"])
        return write(*args, **kwargs)

    monkeypatch.setattr(checkpoint, "write_checkpoint", note)
    engine.go()
    assert saved == [2, 4, 6, 8, 10, 12]
    assert sorted(steps(tmp_path)) == saved


@pytest.mark.parametrize("first", ["checkpoint", "history"])
def test_what_reporting_handlers_add_is_saved_whatever_the_order(
    tmp_path: Path, trainer: Callable[..., Any], first: str
) -> None:
    engine, history = trainer(epochs=2, length=1), HistoryHandler()
    handlers: list[Any] = [CheckpointHandler(tmp_path, {"history": history}, IDENTITY), history]
    for handler in handlers if first == "checkpoint" else handlers[::-1]:
        handler.attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: e.state.metrics.update(late=1.0))
    engine.go()
    saved = torch.load(list_checkpoints(tmp_path)[0], weights_only=True)
    assert saved["history"]["rows"] == [
        {"epoch": 1, "step": 1, "late": 1.0},
        {"epoch": 2, "step": 2, "late": 1.0},
    ]


def test_a_full_disk_is_logged_and_counted_and_training_goes_on(
    tmp_path: Path, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(epochs=4, length=1)
    handler = CheckpointHandler(tmp_path, {"method": engine.method}, IDENTITY)
    handler.attach(engine)
    write = checkpoint.write_checkpoint

    def full_in_the_middle(*args: Any, **kwargs: Any) -> Path:
        if kwargs["step"] in (2, 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*args, **kwargs)

    monkeypatch.setattr(checkpoint, "write_checkpoint", full_in_the_middle)
    with caplog.at_level(logging.ERROR):
        engine.go()
    assert handler.failures == 2
    assert len(engine.losses) == 4
    assert steps(tmp_path) == [4, 1]
    message = f"disk full at {tmp_path}: need 0.0 MB, have "
    assert message in caplog.text
    assert f"training goes on with checkpoint {tmp_path / 'step=000000001.pt'}" in caplog.text


def test_a_folder_that_cannot_be_made_is_logged_and_training_goes_on(
    tmp_path: Path, trainer: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    engine = trainer(epochs=1, length=2)
    handler = CheckpointHandler(tmp_path / "file" / "checkpoints", {}, IDENTITY)
    handler.attach(engine)
    engine.go()
    assert handler.failures == 1
    assert "could not write a checkpoint at" in caplog.text
    assert "training goes on with checkpoint none" in caplog.text


def test_a_file_that_does_not_read_back_is_removed_and_the_old_ones_stay(
    tmp_path: Path, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(epochs=3, length=1)
    handler = CheckpointHandler(tmp_path, {}, IDENTITY)
    handler.attach(engine)
    write = checkpoint.write_checkpoint

    def bad_third(*args: Any, **kwargs: Any) -> Path:
        path = write(*args, **kwargs)
        if kwargs["step"] == 3:
            path.write_bytes(path.read_bytes()[::-1])
        return path

    monkeypatch.setattr(checkpoint, "write_checkpoint", bad_third)
    engine.go()
    assert steps(tmp_path) == [2, 1]
    assert handler.failures == 1
    assert "did not read back as written" in caplog.text


def test_damaged_older_files_do_not_count_among_those_kept(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    engine = trainer(epochs=3, length=1)
    handler = CheckpointHandler(tmp_path, {}, IDENTITY)
    handler.attach(engine)
    engine.add_event_handler(
        Events.EPOCH_STARTED(once=3), lambda _: (tmp_path / "step=000000002.pt").write_bytes(b"truncated")
    )
    engine.go()
    assert steps(tmp_path) == [3, 1]


def test_leftovers_of_a_killed_process_are_cleared(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    (tmp_path / ".step=000000004.pt.x7.tmp").write_bytes(b"half")
    (tmp_path / "notes.tmp").touch()
    engine = trainer(epochs=1, length=1)
    CheckpointHandler(tmp_path, {}, IDENTITY).attach(engine)
    engine.go()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.tmp", "step=000000001.json", "step=000000001.pt"]


def test_other_ranks_do_not_write(tmp_path: Path, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint.idist, "get_rank", lambda: 1)
    engine = trainer(epochs=1, length=1)
    CheckpointHandler(tmp_path, {}, IDENTITY).attach(engine)
    engine.go()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_saved_when_training_raises(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    engine = trainer(epochs=2, length=2)
    CheckpointHandler(tmp_path, {}, IDENTITY).attach(engine)

    def fail(engine: Any) -> None:
        if engine.state.iteration == 4:
            raise RuntimeError("out of memory")

    engine.hook = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.go()
    assert steps(tmp_path) == [2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"keep": 1}, ValueError, "keep must be at least 2, got 1"),
        ({"every_epochs": 0}, ValueError, "every_epochs must be at least 1, got 0"),
        ({"every_minutes": 0.0}, ValueError, "every_minutes must be positive, or None for never, got 0.0"),
        ({"state": {"trainer": torch.nn.Linear(1, 1)}}, ValueError, "must not have an entry 'trainer'"),
        ({"state": {"n": 3}}, TypeError, r"state\['n'\] needs state_dict\(\) and load_state_dict\(\), got int"),
        ({"identity": {"x": {1}}}, TypeError, "identity of a run must hold"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CheckpointHandler(**{"directory": "x", "state": {}, "identity": {}, **arguments})


def test_a_state_that_is_not_plain_is_refused_with_its_place(tmp_path: Path, trainer: Callable[..., Any]) -> None:
    class Careless:
        def state_dict(self) -> dict[str, Any]:
            return {"when": Path()}

        def load_state_dict(self, state: Any) -> None: ...

    handler = CheckpointHandler(tmp_path, {"careless": Careless()}, IDENTITY)
    with pytest.raises(TypeError, match=r"checkpoint\['careless'\]\['when'\] is a pathlib"):
        handler.save(trainer())
