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
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from monai_lamps.data.atomic import atomic_write

from .late import REPORTING, attach_after
from .task_validator import Best, TaskValidator

__all__ = ["BestCheckpoint"]

_LOGGER = logging.getLogger(__name__)


class BestCheckpoint:
    """Keeps the network of the best validation as ``best.pt``, and that of the run's end as ``last.pt``.

    A file is ``{"network": state_dict, "key": str, "value": float, "epoch": int, "step": int}``, tensors and primitives
    only, so that MONAI's ``CheckpointLoader(load_dict={"network": network})`` and ``ckpt_export`` with
    ``key_in_ckpt="network"`` read it. It is for use; resuming goes by :class:`CheckpointHandler`, which must hold the
    validator's state. Files are written atomically by rank 0; a disk error is logged, and training goes on.

    Where a resumed run knows of a best epoch but ``best.pt`` is gone or older, the best is forgotten with a warning,
    so that the next validation writes one (all processes must see the folder, as for resuming). A newer one, of a
    future that was given up by resuming from an earlier checkpoint, stays until the run reaches it again.

    Args:
        directory: folder of the files.
        validator: what says which epoch is best, attached to the same trainer.
    """

    def __init__(self, directory: str | Path, validator: TaskValidator) -> None:
        self.best_path, self.last_path = Path(directory) / "best.pt", Path(directory) / "last.pt"
        self.validator = validator
        self._checked = False

    def attach(self, engine: Engine) -> None:
        """Write behind every handler that measures, and at the end of the run.

        Args:
            engine: the trainer; of its ``method`` the ``network`` is written.
        """
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)
        engine.add_event_handler(Events.EPOCH_STARTED, self._check_file)
        engine.add_event_handler(Events.COMPLETED, self._completed)

    def _epoch_completed(self, engine: Any) -> None:
        if self.validator.improved and self.validator.best is not None:
            self._write(self.best_path, engine, self.validator.best)

    def _completed(self, engine: Any) -> None:
        step = int(engine.state.iteration)
        if self._step_of(self.last_path) == step:  # a finished run that was started once more
            return
        value = engine.state.metrics.get(f"validation/{self.validator.key}", float("nan"))
        self._write(self.last_path, engine, Best(float(value), step // engine.state.epoch_length, step))

    def _check_file(self, engine: Any) -> None:
        """Once, before the first epoch: no process has written anything yet, so all of them find the same."""
        best, checked = self.validator.best, self._checked
        self._checked = True
        if not checked and best is not None and self._step_of(self.best_path) < best.step:
            _LOGGER.warning(
                "%s with epoch %d, the best so far, is gone: the best of the epochs to come takes its place",
                self.best_path,
                best.epoch,
            )
            self.validator.best = None

    @staticmethod
    def _step_of(path: Path) -> int:
        try:
            return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["step"])
        except Exception as error:  # missing, cut short or foreign: in any case not a network of this run
            _LOGGER.debug("could not read %s: %s", path, error)
            return -1

    def _write(self, path: Path, engine: Any, at: Best) -> None:
        if idist.get_rank() != 0:
            return
        state = {name: value.detach().cpu() for name, value in engine.method.network.state_dict().items()}
        contents = {"network": state, "key": self.validator.key, "value": at.value, "epoch": at.epoch, "step": at.step}
        try:
            atomic_write(path, lambda file: torch.save(contents, file))
        except (OSError, RuntimeError) as error:  # torch answers a failed write with its own RuntimeError
            _LOGGER.error("could not write %s: %s; training goes on", path, error)
