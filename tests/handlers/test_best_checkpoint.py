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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.handlers import CheckpointLoader
from toy_task import segmentation, trainer

from monai_lamps.handlers import best_checkpoint
from monai_lamps.handlers.best_checkpoint import BestCheckpoint
from monai_lamps.handlers.checkpoint import CheckpointHandler
from monai_lamps.handlers.resume import ResumeHandler
from monai_lamps.handlers.task_validator import TaskValidator


def run(
    folder: Path, values: Sequence[float], start: int = 0, stop_at: int | None = None, resume: str = "auto"
) -> tuple[Any, TaskValidator, list[dict[str, torch.Tensor]]]:
    """Run four epochs with these key figures; the network after each of them."""
    task, validator = segmentation(), TaskValidator([], "dice")
    told = iter(values[start:])
    validator.measure = lambda *args: {"dice": next(told)}  # type: ignore[method-assign]
    engine = trainer(task, epochs=4)
    state = {"method": task, "optimizer": engine.optimizer, "validator": validator}
    checkpoint = CheckpointHandler(folder / "checkpoints", state, {"task": "toy"}, keep=4)
    for handler in (ResumeHandler(checkpoint, resume), BestCheckpoint(folder, validator), validator, checkpoint):
        handler.attach(engine)
    networks: list[dict[str, torch.Tensor]] = []

    def note(engine: Any) -> None:
        networks.append({name: value.clone() for name, value in task.network.state_dict().items()})

    engine.add_event_handler(Events.EPOCH_COMPLETED, note)
    if stop_at is not None:
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=stop_at), lambda e: e.terminate())
    engine.run()
    return task, validator, networks


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_networks_of_the_best_and_of_the_last_epoch_are_kept(tmp_path: Path) -> None:
    _, _, networks = run(tmp_path, [0.1, 0.5, 0.3, 0.4])
    best, last = (torch.load(tmp_path / name, weights_only=True) for name in ("best.pt", "last.pt"))
    assert same(best.pop("network"), networks[1])
    assert best == {"key": "dice", "value": 0.5, "epoch": 2, "step": 6}
    assert same(last.pop("network"), networks[3])
    assert last == {"key": "dice", "value": 0.4, "epoch": 4, "step": 12}


def test_monai_loads_it(tmp_path: Path) -> None:
    _, _, networks = run(tmp_path, [0.1, 0.5, 0.3, 0.4])
    fresh = segmentation()
    CheckpointLoader(str(tmp_path / "best.pt"), {"network": fresh.network})(trainer(fresh))
    assert same(fresh.network.state_dict(), networks[1])


def test_a_resumed_run_keeps_the_best_of_before_until_there_is_a_better_one(tmp_path: Path) -> None:
    _, _, before = run(tmp_path, [0.1, 0.5, 0.3, 0.4], stop_at=3)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 3
    _, validator, _ = run(tmp_path, [0.1, 0.5, 0.3, 0.4], start=3)
    assert validator.best is not None
    assert validator.best.epoch == 2
    assert same(torch.load(tmp_path / "best.pt", weights_only=True)["network"], before[1])
    _, _, whole = run(tmp_path / "other", [0.1, 0.5, 0.3, 0.6])
    run(tmp_path / "cut", [0.1, 0.5, 0.3, 0.6], stop_at=3)
    run(tmp_path / "cut", [0.1, 0.5, 0.3, 0.6], start=3)
    assert same(torch.load(tmp_path / "cut" / "best.pt", weights_only=True)["network"], whole[3])


@pytest.mark.parametrize("left", [None, b"cut short"])
def test_a_best_file_that_is_gone_or_broken_is_replaced_by_the_best_to_come(
    left: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, [0.1, 0.5, 0.3, 0.4], stop_at=3)
    (tmp_path / "best.pt").unlink() if left is None else (tmp_path / "best.pt").write_bytes(left)
    _, _, networks = run(tmp_path, [0.1, 0.5, 0.3, 0.4], start=3)
    assert same(torch.load(tmp_path / "best.pt", weights_only=True)["network"], networks[-1])
    assert (
        "best.pt with epoch 2, the best so far, is gone: the best of the epochs to come takes its place" in caplog.text
    )


def test_the_best_of_a_future_that_was_given_up_stays_until_it_is_reached_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = [0.1, 0.2, 0.3, 0.5]
    run(tmp_path, values)
    earlier = str(tmp_path / "checkpoints" / "step=000000006.pt")
    _, validator, _ = run(tmp_path, values, start=2, stop_at=3, resume=earlier)
    assert validator.best is not None
    assert validator.best.epoch == 3
    assert torch.load(tmp_path / "best.pt", weights_only=True)["epoch"] == 3
    assert "is gone" not in caplog.text


def test_a_finished_run_that_is_started_again_writes_nothing(tmp_path: Path) -> None:
    run(tmp_path, [0.1, 0.5, 0.3, 0.4])
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.pt")}
    run(tmp_path, [0.1, 0.5, 0.3, 0.4], start=4)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.pt")} == before


def test_a_full_disk_is_logged_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(best_checkpoint, "atomic_write", full)
    _, _, networks = run(tmp_path, [0.1, 0.5, 0.3, 0.4])
    assert len(networks) == 4
    assert "best.pt: [Errno 28] No space left on device; training goes on" in caplog.text
