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
import hashlib
import json
import os
import pickle
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from monai_lamps.data.atomic import atomic_write
from monai_lamps.version import __version__

from .checkpoint_contents import plain_identity, stored_bytes

__all__ = [
    "CheckpointError",
    "checkpoint_path",
    "is_complete",
    "list_checkpoints",
    "read_checkpoint",
    "remove_checkpoint",
    "set_aside",
    "sidecar_path",
    "verify_checkpoint",
    "write_checkpoint",
]

_NAME = re.compile(r"step=(\d+)\.pt")
_SIDECAR_KEYS = ("sha256", "bytes", "step", "epoch", "identity", "version", "time")


class CheckpointError(ValueError):
    """A checkpoint that is incomplete, damaged, or not one of this package."""


def checkpoint_path(directory: str | Path, step: int) -> Path:
    """File of the checkpoint after ``step`` optimizer steps, e.g. ``step=000000120.pt``."""
    return Path(directory) / f"step={step:09d}.pt"


def sidecar_path(path: str | Path) -> Path:
    """The JSON file beside a checkpoint; without a valid one the checkpoint counts as incomplete."""
    return Path(path).with_suffix(".json")


def list_checkpoints(directory: str | Path) -> list[Path]:
    """Checkpoints of a folder by their name, the one with most steps first, valid or not; empty without the folder."""
    folder = Path(directory)
    found = [(int(m[1]), p) for p in (folder.iterdir() if folder.is_dir() else ()) if (m := _NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


def write_checkpoint(
    directory: str | Path, contents: Mapping[str, Any], *, step: int, epoch: int, identity: Mapping[str, Any]
) -> Path:
    """Write a checkpoint so that a crash at any moment leaves the earlier ones, and this one whole or not valid.

    The file is written beside its place, flushed to disk and put there in one step; then comes its sidecar with
    ``sha256, bytes, step, epoch, identity, version, time``, which makes it valid.

    Args:
        directory: folder of the checkpoints; made if need be.
        contents: tensors and primitives, nested.
        step: optimizer steps done.
        epoch: epochs completed.
        identity: what the run is (method, encoder, seed, ...), JSON primitives.

    Returns:
        the checkpoint's file.

    Raises:
        TypeError: when the contents are not tensors and primitives.
        OSError: when it cannot be written; ENOSPC also when the free space is too small to try. Nothing is left behind.
    """
    path = checkpoint_path(directory, step)
    contents = dict(contents)
    _require_space(path.parent, stored_bytes(contents))
    digest = ""
    size = 0

    def write(file: IO[bytes]) -> None:
        nonlocal digest, size
        writer = _Sha256Writer(file)
        try:
            torch.save(contents, writer)  # type: ignore[arg-type]
        finally:
            if writer.error is not None:  # torch answers a failed write with its own "unexpected pos"
                raise writer.error
        digest, size = writer.sha256.hexdigest(), writer.size

    atomic_write(path, write)
    sidecar = {
        "sha256": digest,
        "bytes": size,
        "step": step,
        "epoch": epoch,
        "identity": plain_identity(identity),
        "version": {"monai_lamps": __version__, "torch": str(torch.__version__)},
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    text = json.dumps(sidecar, indent=2) + "\n"
    try:
        atomic_write(sidecar_path(path), lambda file: file.write(text.encode()))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


class _Sha256Writer:
    """A file for torch.save that hashes what passes, and remembers why the disk refused it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            self.file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self.sha256.update(data)
        count = memoryview(data).nbytes
        self.size += count
        return count

    def flush(self) -> None:
        try:
            self.file.flush()
        except OSError as error:
            self.error = self.error or error
            raise


def _require_space(directory: Path, stored: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    need = int(1.02 * stored) + 65536  # the archive's own records
    free = shutil.disk_usage(directory).free
    if free < need:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: need {need} bytes, have {free}", str(directory))


def verify_checkpoint(path: str | Path) -> dict[str, Any]:
    """Check a checkpoint against its sidecar: length and sha256. Reads the file once; unpickles nothing.

    Returns:
        the sidecar.

    Raises:
        FileNotFoundError: when there is no such file.
        CheckpointError: when it is incomplete (no sidecar), truncated, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at '{path}'; expected a file step=NUMBER.pt of a run.")
    sidecar = _read_sidecar(path)
    size = path.stat().st_size
    if size != sidecar["bytes"]:
        raise CheckpointError(
            f"checkpoint '{path}' is truncated: it has {size} bytes, its sidecar says {sidecar['bytes']}; "
            "use another one."
        )
    with path.open("rb") as file:
        digest = _digest(file)
    if digest != sidecar["sha256"]:
        raise CheckpointError(
            f"checkpoint '{path}' is damaged: its sha256 is {digest[:12]}..., its sidecar says "
            f"{str(sidecar['sha256'])[:12]}...; use another one."
        )
    return sidecar


def _digest(file: IO[bytes]) -> str:
    sha256 = hashlib.sha256()
    while block := file.read(1 << 20):
        sha256.update(block)
    return sha256.hexdigest()


def _read_sidecar(path: Path) -> dict[str, Any]:
    file = sidecar_path(path)
    if not file.is_file():
        raise CheckpointError(
            f"checkpoint '{path}' is incomplete or foreign: its sidecar '{file.name}' is missing. A checkpoint of this "
            "package is a pair, step=NUMBER.pt and step=NUMBER.json: copy both, or use another one."
        )
    try:
        sidecar = json.loads(file.read_text())
        missing = [key for key in _SIDECAR_KEYS if key not in sidecar]
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"sidecar '{file}' is not valid JSON ({error}); use another checkpoint.") from error
    if missing:
        raise CheckpointError(f"sidecar '{file}' lacks {missing}: not written by this package; use another checkpoint.")
    return dict(sidecar)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint's contents to the CPU; only tensors and primitives are unpickled, no code is run.

    Raises:
        CheckpointError: when torch refuses it, or when it is not a dictionary with a "trainer" entry.
    """
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint '{path}' holds more than tensors and primitives and is refused, because loading it could run "
            f"code ({str(error).splitlines()[0]}); expected a checkpoint of this package."
        ) from error
    except (RuntimeError, EOFError) as error:
        raise CheckpointError(f"checkpoint '{path}' is not a torch file ({error}); use another one.") from error
    if not isinstance(contents, dict) or "trainer" not in contents:
        found = sorted(map(str, contents)) if isinstance(contents, dict) else type(contents).__name__
        raise CheckpointError(
            f"checkpoint '{path}' is foreign: expected a dictionary with the entry 'trainer', got {found}; name a file "
            "step=NUMBER.pt of a run's checkpoints folder."
        )
    return contents


def is_complete(path: str | Path) -> bool:
    """Whether sidecar and length fit: a quick look, without reading the file (:func:`verify_checkpoint` reads it)."""
    try:
        return bool(Path(path).stat().st_size == _read_sidecar(Path(path))["bytes"])
    except (OSError, CheckpointError):
        return False


def remove_checkpoint(path: str | Path) -> None:
    """Delete a checkpoint, its sidecar first, so that half a deletion leaves no valid-looking one."""
    sidecar_path(path).unlink(missing_ok=True)
    Path(path).unlink(missing_ok=True)


def set_aside(directory: str | Path, newer_than: int = -1, keep: Path | None = None) -> Path | None:
    """Move checkpoints that a new run would mix with its own into a folder ``<directory>.old-N`` beside the old one.

    Args:
        directory: folder of the checkpoints.
        newer_than: move only those with more steps than this.
        keep: this one stays.

    Returns:
        the new folder, or None when there was nothing to move.
    """
    folder = Path(directory)
    moving = [
        path
        for path in list_checkpoints(folder)
        if int(path.stem.removeprefix("step=")) > newer_than and (keep is None or path.resolve() != keep.resolve())
    ]
    if not moving:
        return None
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    aside.mkdir(parents=True)
    for path in moving:
        for file in (path, sidecar_path(path)):
            if file.exists():
                os.replace(file, aside / file.name)
    return aside
