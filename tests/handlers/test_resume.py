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

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events

from monai_lamps.handlers import CheckpointError, CheckpointHandler, HistoryHandler, ResumeHandler, list_checkpoints
from monai_lamps.handlers import resume as module
from monai_lamps.handlers.checkpoint_file import sidecar_path

IDENTITY = {"method": "tiny", "encoder": {"name": "linear"}}
Make = Callable[..., Any]


def prepare(
    engine: Any, folder: Path, resume: str | Path = "auto", identity: dict[str, Any] | None = None
) -> ResumeHandler:
    history = HistoryHandler()
    state = {"method": engine.method, "optimizer": engine.optimizer, "history": history}
    checkpoint = CheckpointHandler(folder, state, identity or IDENTITY)
    handler = ResumeHandler(checkpoint, resume)
    for item in (checkpoint, history, handler):
        item.attach(engine)
    return handler


@pytest.fixture
def folder(tmp_path: Path, trainer: Make) -> Path:
    """Checkpoints of steps 4 and 8 of a run of 2 epochs."""
    engine = trainer(epochs=2)
    prepare(engine, tmp_path / "checkpoints")
    engine.go()
    return tmp_path / "checkpoints"


def test_two_and_two_epochs_are_four_epochs_bit_for_bit(tmp_path: Path, trainer: Make, folder: Path) -> None:
    straight = trainer(epochs=4).go()
    resumed = trainer(epochs=4)
    handler = prepare(resumed, folder)
    assert handler.find() == folder / "step=000000008.pt"
    resumed.go()
    assert handler.resumed_from == folder / "step=000000008.pt"
    assert resumed.losses == straight.losses[8:]
    assert torch.equal(resumed.method.layer.weight, straight.method.layer.weight)
    history = handler.checkpoint.state["history"]
    assert [row["step"] for row in history.rows] == [4, 8, 12, 16]


def test_a_run_continues_in_the_middle_of_an_epoch(tmp_path: Path, trainer: Make) -> None:
    straight = trainer(epochs=2).go()
    first = trainer(epochs=2)
    handler = prepare(first, tmp_path)
    first.add_event_handler(Events.ITERATION_COMPLETED(once=6), lambda e: (handler.checkpoint.save(e), e.terminate()))
    first.go()
    second = trainer(epochs=2)
    prepare(second, tmp_path)
    second.go()
    assert first.losses + second.losses == straight.losses


def test_a_finished_run_is_not_trained_again(folder: Path, trainer: Make, caplog: pytest.LogCaptureFixture) -> None:
    engine = trainer(epochs=2)
    prepare(engine, folder)
    with caplog.at_level(logging.INFO):
        engine.go()
    assert engine.losses == []
    assert engine.state.iteration == 8
    assert "nothing is left to train" in caplog.text


def test_auto_without_checkpoints_starts_anew(tmp_path: Path, trainer: Make) -> None:
    engine = trainer(epochs=1)
    handler = prepare(engine, tmp_path / "none")
    engine.go()
    assert handler.resumed_from is None
    assert len(engine.losses) == 4


def test_auto_falls_back_to_the_newest_valid_one_and_says_so(
    folder: Path, trainer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    newest = folder / "step=000000008.pt"
    newest.write_bytes(newest.read_bytes()[:-7])
    (folder / "step=000000099.pt").touch()
    engine = trainer(epochs=3)
    handler = prepare(engine, folder)
    with caplog.at_level(logging.INFO):
        engine.go()
    assert handler.resumed_from == folder / "step=000000004.pt"
    assert len(engine.losses) == 8
    assert f"skipped checkpoint {newest}: checkpoint '{newest}' is truncated" in caplog.text
    assert "step=000000099.json' is missing" in caplog.text
    assert f"resumed from checkpoint {folder / 'step=000000004.pt'} (step 4)" in caplog.text


def test_auto_skips_a_sealed_pickle_with_code(folder: Path, trainer: Make, caplog: pytest.LogCaptureFixture) -> None:
    newest = folder / "step=000000008.pt"
    torch.save({"trainer": test_auto_skips_a_sealed_pickle_with_code}, newest)
    data, sidecar = newest.read_bytes(), json.loads(sidecar_path(newest).read_text())
    sidecar.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    sidecar_path(newest).write_text(json.dumps(sidecar))
    assert prepare(trainer(), folder).find() == folder / "step=000000004.pt"
    assert "could run code" in caplog.text


@pytest.mark.parametrize("resume", ["auto", "step=000000008.pt"])
def test_a_checkpoint_is_examined_once_and_again_only_when_it_has_changed(
    folder: Path, trainer: Make, monkeypatch: pytest.MonkeyPatch, resume: str
) -> None:
    newest = folder / "step=000000008.pt"
    calls: list[str] = []

    def counted(function: Callable[[Path], Any]) -> Callable[[Path], Any]:
        return lambda path: calls.append(function.__name__) or function(path)

    for name in ("verify_checkpoint", "read_checkpoint"):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    engine = trainer(epochs=2)
    handler = prepare(engine, folder, folder / resume if resume != "auto" else resume)
    assert handler.find() == newest
    engine.go()
    assert handler.resumed_from == newest
    assert calls == ["verify_checkpoint", "read_checkpoint", "read_checkpoint"]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    if resume == "auto":
        assert handler.find() == folder / "step=000000004.pt"
    else:
        with pytest.raises(CheckpointError, match="is damaged"):
            handler.find()


def test_auto_with_only_damaged_ones_starts_anew_with_a_warning(
    folder: Path, trainer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    for path in list_checkpoints(folder):
        path.write_bytes(b"")
    engine = trainer(epochs=1)
    prepare(engine, folder)
    engine.go()
    assert len(engine.losses) == 4
    assert f"no valid checkpoint in {folder}: starting anew" in caplog.text


def test_auto_refuses_a_folder_of_another_run(folder: Path, trainer: Make) -> None:
    engine = trainer()
    prepare(engine, folder, identity={"method": "tiny", "encoder": {"name": "swin_tiny"}})
    with pytest.raises(
        ValueError,
        match=r"another run \(encoder.name: expected 'swin_tiny', got 'linear'\); choose another output_dir, or .*none",
    ):
        engine.go()
    assert engine.losses == []


def test_a_path_of_another_run_is_refused_with_what_was_expected(folder: Path, trainer: Make) -> None:
    path = folder / "step=000000008.pt"
    handler = prepare(trainer(), folder, path, identity={"method": "adam", "encoder": {"name": "linear"}})
    with pytest.raises(ValueError, match=r"another run: method: expected 'adam', got 'tiny'\. Name a"):
        handler.find()


@pytest.mark.parametrize("resume", ["atuo", "missing/step=000000004.pt"])
def test_an_unknown_word_or_a_missing_path_names_what_is_valid(tmp_path: Path, trainer: Make, resume: str) -> None:
    engine = trainer()
    prepare(engine, tmp_path, resume)
    with pytest.raises(FileNotFoundError, match=rf"resume='{resume}' is missing; expected 'auto', 'none', or"):
        engine.go()
    assert engine.losses == []


def test_a_folder_is_not_a_checkpoint(folder: Path, trainer: Make) -> None:
    with pytest.raises(FileNotFoundError, match="is a folder; expected 'auto', 'none', or a checkpoint file"):
        prepare(trainer(), folder, folder).find()


def test_a_named_checkpoint_that_is_truncated_is_an_error(folder: Path, trainer: Make) -> None:
    path = folder / "step=000000008.pt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is truncated"):
        prepare(trainer(), folder, path).find()


def test_something_else_than_text_or_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="resume must be 'auto', 'none' or a path, got True"):
        ResumeHandler(CheckpointHandler(tmp_path, {}, {}), True)  # type: ignore[arg-type]


def test_going_back_to_a_named_checkpoint_moves_the_later_ones_aside(
    folder: Path, trainer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(epochs=2)
    handler = prepare(engine, folder, str(folder / "step=000000004.pt"))
    engine.add_event_handler(Events.EPOCH_STARTED(once=2), lambda e: e.terminate())
    engine.go()
    assert handler.resumed_from == folder / "step=000000004.pt"
    assert [p.name for p in list_checkpoints(folder)] == ["step=000000004.pt"]
    assert [p.name for p in list_checkpoints(folder.with_name("checkpoints.old-1"))] == ["step=000000008.pt"]
    assert "moved checkpoints of" in caplog.text


def test_a_named_checkpoint_elsewhere_stays_there(tmp_path: Path, folder: Path, trainer: Make) -> None:
    engine = trainer(epochs=3)
    prepare(engine, tmp_path / "other", folder / "step=000000008.pt")
    engine.go()
    assert len(engine.losses) == 4
    assert len(list_checkpoints(folder)) == 2
    assert [p.name for p in list_checkpoints(tmp_path / "other")] == ["step=000000012.pt"]


def test_none_starts_anew_and_loses_nothing(folder: Path, trainer: Make, caplog: pytest.LogCaptureFixture) -> None:
    engine = trainer(epochs=1)
    prepare(engine, folder, "none")
    engine.go()
    assert len(engine.losses) == 4
    assert [p.name for p in list_checkpoints(folder)] == ["step=000000004.pt"]
    assert len(list_checkpoints(folder.with_name("checkpoints.old-1"))) == 2
    assert f"to {folder.with_name('checkpoints.old-1')}" in caplog.text


def test_a_state_that_does_not_fit_names_checkpoint_and_object(folder: Path, trainer: Make) -> None:
    engine = trainer()
    engine.method.layer = torch.nn.Linear(4, 7)
    prepare(engine, folder)
    with pytest.raises(CheckpointError, match=r"its 'method' does not fit this run's TinyMethod: .*size mismatch"):
        engine.go()


def test_a_checkpoint_that_lacks_a_state_is_refused(folder: Path, trainer: Make) -> None:
    engine = trainer()
    handler = prepare(engine, folder)
    handler.checkpoint.state["queue"] = torch.nn.Linear(1, 1)
    with pytest.raises(CheckpointError, match=r"lacks \['queue'\], it has \['history', 'method', 'optimizer', "):
        engine.go()
