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
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from .checkpoint_contents import plain_identity, stored_bytes
from .checkpoint_file import (
    CheckpointError,
    checkpoint_path,
    is_complete,
    list_checkpoints,
    remove_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)
from .late import SAVING, attach_after

__all__ = ["CheckpointHandler"]

_LOGGER = logging.getLogger(__name__)
_MB = 1e6


class CheckpointHandler:
    """Saves the whole run at the end of epochs, after every handler that reports, so that it can continue exactly.

    A checkpoint is a pair, ``step=000000120.pt`` (tensors and primitives) and ``step=000000120.json`` (sha256, bytes,
    step, epoch, identity, version, time). It is written atomically and flushed to disk; older ones are deleted only
    after the new one has been read back and verified, and ``keep`` stay. For a moment ``keep + 1`` files lie on disk.

    MONAI's ``CheckpointSaver`` is not used: it writes in place and deletes the old file before the new one is complete,
    so a kill at the wrong moment leaves nothing; and in a bundle it cannot save the trainer (a circular reference),
    which this handler takes from :meth:`attach`.

    A full disk does not end the run: the temporary file is removed, an error is logged, ``failures`` counts it, and
    training goes on with the last checkpoint. Nothing is saved when training raises: the state may be half a step on,
    so the last checkpoint stands. Only rank 0 writes; the others return at once, so a ``state_dict`` must not
    communicate.

    Args:
        directory: folder of the checkpoints, by custom ``OUT/checkpoints``.
        state: what is saved besides the trainer (kept under "trainer"), by name: objects with ``state_dict`` and
            ``load_state_dict``, for example {"history": HistoryHandler}.
        identity: what this run is, in JSON primitives: method, encoder, seed, batch size. Resuming compares it.
        every_epochs: save at the end of each n-th epoch, and of the last one.
        every_minutes: save also when this much time has passed since the last save; None for never.
        keep: how many checkpoints stay, at least 2.
        clock: seconds; for tests.

    Raises:
        ValueError: when ``keep`` is below 2, an interval is not positive, or ``state`` has an entry "trainer".
        TypeError: when an entry of ``state`` lacks ``state_dict`` or ``load_state_dict``, or ``identity`` is not plain.
    """

    def __init__(
        self,
        directory: str | Path,
        state: Mapping[str, Any],
        identity: Mapping[str, Any],
        every_epochs: int = 1,
        every_minutes: float | None = None,
        keep: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if keep < 2:
            raise ValueError(f"keep must be at least 2, got {keep}: a single file may be damaged.")
        if every_epochs < 1:
            raise ValueError(f"every_epochs must be at least 1, got {every_epochs}.")
        if every_minutes is not None and every_minutes <= 0:
            raise ValueError(f"every_minutes must be positive, or None for never, got {every_minutes}.")
        if "trainer" in state:
            raise ValueError("state must not have an entry 'trainer': the trainer is saved under this name; rename it.")
        for name, item in state.items():
            if not (hasattr(item, "state_dict") and hasattr(item, "load_state_dict")):
                raise TypeError(f"state['{name}'] needs state_dict() and load_state_dict(), got {type(item).__name__}.")
        self.directory = Path(directory)
        self.state = dict(state)
        self.identity = plain_identity(identity)
        self.every_epochs = every_epochs
        self.every_minutes = every_minutes
        self.keep = keep
        self.last_saved: Path | None = None
        self.failures = 0
        self._clock = clock
        self._last_time = clock()
        self._last_step = -1

    def attach(self, engine: Engine) -> None:
        """Save at the end of epochs, behind all other handlers, and between them by the clock.

        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self._started)
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, SAVING)
        if self.every_minutes is not None:
            attach_after(engine, Events.ITERATION_COMPLETED, self._iteration_completed, SAVING)

    def save(self, engine: Engine) -> Path | None:
        """Save now.

        Args:
            engine: the trainer.

        Returns:
            the verified checkpoint; None when it could not be written (logged and counted) and on ranks other than 0.

        Raises:
            TypeError: when a ``state_dict`` gives anything but tensors and primitives.
        """
        if idist.get_rank() != 0:
            return None
        step = int(engine.state.iteration)
        epoch = step // engine.state.epoch_length if engine.state.epoch_length else int(engine.state.epoch)
        contents = {"trainer": engine.state_dict(), **{name: item.state_dict() for name, item in self.state.items()}}
        self._last_time = self._clock()
        path = checkpoint_path(self.directory, step)
        try:
            path = write_checkpoint(self.directory, contents, step=step, epoch=epoch, identity=self.identity)
            verify_checkpoint(path)
        except CheckpointError as error:
            remove_checkpoint(path)
            self._report_failure(f"checkpoint did not read back as written: {error}")
            return None
        except OSError as error:
            self._report_failure(self._reason(error, contents))
            return None
        self.last_saved, self._last_step = path, step
        self._prune(step)
        _LOGGER.info("saved checkpoint %s (step %d, %d epochs)", path, step, epoch)
        return path

    def saved_at(self, engine: Engine) -> bool:
        """Whether the state after the engine's current iteration has been saved already."""
        return self._last_step == engine.state.iteration

    def _started(self, engine: Engine) -> None:
        self._last_time = self._clock()
        if idist.get_rank() == 0 and self.directory.is_dir():
            for leftover in self.directory.glob(".step=*.tmp"):  # of a process that was killed while it wrote
                leftover.unlink(missing_ok=True)

    def _due(self) -> bool:
        return self.every_minutes is not None and self._clock() - self._last_time >= 60 * self.every_minutes

    def _epoch_completed(self, engine: Engine) -> None:
        epoch, last = engine.state.epoch, engine.state.max_epochs
        if (epoch % self.every_epochs == 0 or epoch == last or self._due()) and not self.saved_at(engine):
            self.save(engine)

    def _iteration_completed(self, engine: Engine) -> None:
        length = engine.state.epoch_length
        at_end = length is not None and engine.state.iteration % length == 0  # then the epoch's handlers come first
        if not at_end and self._due():
            self.save(engine)

    def _prune(self, step: int) -> None:
        """Delete older checkpoints beyond ``keep``, and older incomplete ones. Later ones are none of this run's."""
        older = [path for path in list_checkpoints(self.directory) if path != self.last_saved]
        older = [path for path in older if int(path.stem.removeprefix("step=")) < step]
        complete = [path for path in older if is_complete(path)]
        for path in older:
            if path not in complete[: self.keep - 1]:
                try:
                    remove_checkpoint(path)
                except OSError as error:
                    _LOGGER.warning("could not delete the old checkpoint %s: %s", path, error)

    def _reason(self, error: OSError, contents: Mapping[str, Any]) -> str:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return f"could not write a checkpoint at {self.directory}: {error}"
        need = stored_bytes(contents) / _MB
        folder = next((p for p in (self.directory, *self.directory.parents) if p.is_dir()), Path())
        have = shutil.disk_usage(folder).free / _MB
        return f"disk full at {self.directory}: need {need:.1f} MB, have {have:.1f} MB"

    def _report_failure(self, reason: str) -> None:
        self.failures += 1
        standing = self.last_saved or next((p for p in list_checkpoints(self.directory) if is_complete(p)), None)
        _LOGGER.error("%s; training goes on with checkpoint %s", reason, standing or "none")
