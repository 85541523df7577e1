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

import builtins
import errno
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_lamps.handlers import CheckpointError, list_checkpoints, read_checkpoint, verify_checkpoint, write_checkpoint
from monai_lamps.handlers.checkpoint_file import is_complete, remove_checkpoint, set_aside, sidecar_path

IDENTITY = {"method": "tiny"}


def write(folder: Path, step: int = 120, size: int = 1000) -> Path:
    contents = {"trainer": {"step": step}, "method": {"weight": torch.full((size,), float(step))}}
    return write_checkpoint(folder, contents, step=step, epoch=3, identity=IDENTITY)


def reseal(path: Path) -> None:
    """Make the sidecar fit the file, as an attacker would."""
    sidecar = json.loads(sidecar_path(path).read_text())
    data = path.read_bytes()
    sidecar.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    sidecar_path(path).write_text(json.dumps(sidecar))


def test_a_checkpoint_is_a_pair_that_loads_with_weights_only(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step=000000120.json", "step=000000120.pt"]
    sidecar = verify_checkpoint(path)
    assert (sidecar["step"], sidecar["epoch"], sidecar["identity"]) == (120, 3, IDENTITY)
    assert sidecar["bytes"] == path.stat().st_size
    assert sidecar["version"]["torch"] == torch.__version__
    contents = torch.load(path, weights_only=True)
    assert contents["trainer"] == {"step": 120}
    assert torch.equal(contents["method"]["weight"], torch.full((1000,), 120.0))


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        assert stat.S_IMODE(write(tmp_path).stat().st_mode) == 0o644
    finally:
        os.umask(mask)


def test_checkpoints_are_listed_newest_first_and_nothing_else(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "missing") == []
    for step in (5, 120, 30):
        write(tmp_path, step)
    (tmp_path / "best.pt").touch()
    assert [path.stem for path in list_checkpoints(tmp_path)] == [f"step={n:09d}" for n in (120, 30, 5)]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at '.*x\.pt'; expected a file step=NUMBER\.pt"):
        verify_checkpoint(tmp_path / "x.pt")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_complete(path)
    with pytest.raises(CheckpointError, match=r"is truncated: it has \d+ bytes, its sidecar says \d+"):
        verify_checkpoint(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert is_complete(path)
    with pytest.raises(CheckpointError, match="is damaged: its sha256"):
        verify_checkpoint(path)


def test_without_its_sidecar_it_is_incomplete(tmp_path: Path) -> None:
    path = write(tmp_path)
    sidecar_path(path).unlink()
    with pytest.raises(CheckpointError, match=r"incomplete or foreign: its sidecar .* is missing.*copy both"):
        verify_checkpoint(path)


@pytest.mark.parametrize(("text", "message"), [("{", "is not valid JSON"), ("{}", r"lacks \['sha256'"), ("3", "valid")])
def test_a_broken_sidecar_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path)
    sidecar_path(path).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        verify_checkpoint(path)


class Bomb:
    def __reduce__(self) -> Any:
        return builtins.exec, ("open('ran', 'w').close()",)


def test_a_pickle_with_code_is_refused_and_the_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    torch.save({"trainer": Bomb()}, path)
    reseal(path)
    verify_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"more than tensors and primitives and is refused.*could run code"):
        read_checkpoint(path)
    assert not Path("ran").exists()


def test_foreign_torch_files_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"state_dict": {}, "epoch": 3}, path)
    with pytest.raises(CheckpointError, match=r"foreign: expected .*'trainer', got \['epoch', 'state_dict'\]"):
        read_checkpoint(path)
    torch.save(torch.zeros(2), path)
    with pytest.raises(CheckpointError, match=r"foreign: expected .*'trainer', got Tensor"):
        read_checkpoint(path)
    path.write_bytes(b"PK\x03\x04 not a zip file")
    with pytest.raises(CheckpointError, match="is not a torch file"):
        read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is not a torch file"):
        read_checkpoint(path)


class FullDisk:
    """A file on which only so many bytes fit."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: Any) -> int:
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize("room", [0, 100, 3000, 5000])
def test_a_disk_that_fills_up_midway_says_so_and_leaves_the_old_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    old = write(tmp_path, 1)
    before, fdopen = sorted(tmp_path.iterdir()), os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *args, **kwargs: FullDisk(fdopen(*args, **kwargs), room))
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(tmp_path, 2)
    assert caught.value.errno == errno.ENOSPC
    assert sorted(tmp_path.iterdir()) == before
    verify_checkpoint(old)


def test_a_disk_that_fills_up_at_the_sidecar_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, fdopen = iter([10**9, 10]), os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *args, **kwargs: FullDisk(fdopen(*args, **kwargs), next(rooms)))
    with pytest.raises(OSError, match="No space left on device"):
        write(tmp_path, 2)
    assert list(tmp_path.iterdir()) == []


def test_too_little_free_space_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"need \d+ bytes, have 5000") as caught:
        write(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_removing_takes_both_files_and_does_not_mind_their_absence(tmp_path: Path) -> None:
    path = write(tmp_path)
    remove_checkpoint(path)
    remove_checkpoint(path)
    assert list(tmp_path.iterdir()) == []


def test_setting_aside_moves_pairs_and_never_overwrites(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert set_aside(folder) is None
    for step in (1, 2, 3):
        write(folder, step)
    kept = folder / "step=000000002.pt"
    aside = set_aside(folder, newer_than=1, keep=kept)
    assert aside == tmp_path / "checkpoints.old-1"
    assert [path.name for path in list_checkpoints(aside)] == ["step=000000003.pt"]
    assert len(list_checkpoints(folder)) == 2
    assert set_aside(folder) == tmp_path / "checkpoints.old-2"
    for path in list_checkpoints(tmp_path / "checkpoints.old-2"):
        verify_checkpoint(path)
    assert list(folder.iterdir()) == []


def test_a_kill_at_any_moment_leaves_a_valid_checkpoint(tmp_path: Path) -> None:
    context, moments = multiprocessing.get_context("fork"), random.Random(0)
    newest = 0
    for _ in range(8):
        process = context.Process(target=_save_for_ever, args=(tmp_path, newest))
        process.start()
        assert process.pid is not None
        deadline = time.monotonic() + 20
        while not any(is_complete(p) and int(p.stem[5:]) > newest for p in list_checkpoints(tmp_path)):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.06))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        valid = [path for path in list_checkpoints(tmp_path) if _valid(path)]
        assert valid
        step = int(valid[0].stem[5:])
        assert step >= max(newest, int(list_checkpoints(tmp_path)[0].stem[5:]) - 1)  # at most the one in work is lost
        assert read_checkpoint(valid[0])["trainer"] == {"step": step}
        newest = step
    assert newest >= 8


def _valid(path: Path) -> bool:
    try:
        verify_checkpoint(path)
    except CheckpointError:
        return False
    return True


def _save_for_ever(folder: Path, step: int) -> None:
    from types import SimpleNamespace

    from monai_lamps.handlers import CheckpointHandler

    weights = {"weight": torch.zeros(20000)}
    item = SimpleNamespace(state_dict=lambda: weights, load_state_dict=print)
    handler = CheckpointHandler(folder, {"weights": item}, IDENTITY)
    while True:
        step += 1
        state = SimpleNamespace(iteration=step, epoch_length=10, epoch=0)
        engine: Any = SimpleNamespace(state=state, state_dict=lambda: {"step": step})  # noqa: B023
        handler.save(engine)
