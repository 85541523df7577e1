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
import torch.distributed as dist
from ignite.engine import Engine, Events

from .checkpoint import CheckpointHandler
from .checkpoint_contents import identity_differences
from .checkpoint_file import (
    CheckpointError,
    list_checkpoints,
    read_checkpoint,
    set_aside,
    sidecar_path,
    verify_checkpoint,
)

__all__ = ["ResumeHandler"]

_LOGGER = logging.getLogger(__name__)


class ResumeHandler:
    """Continues a run from a checkpoint when it starts.

    It acts at ``Events.STARTED``: Ignite makes the iterator of the data loader after it, so the trainer's
    ``load_state_dict`` can still tell the sampler where to go on, and a finished run just completes.

    Args:
        checkpoint: the handler that saves; its folder, state and identity are what is looked for.
        resume: "auto" takes the newest valid checkpoint of the folder, logs every one that it skips and why, and starts
            anew when there is none. "none" starts anew; checkpoints that lie there are moved to
            ``checkpoints.old-N``. Anything else is the path of a checkpoint and must be valid; later ones of the folder
            are moved aside likewise, since they belong to a future that is given up.

    Raises:
        TypeError: when ``resume`` is neither a string nor a path.
    """

    def __init__(self, checkpoint: CheckpointHandler, resume: str | Path = "auto") -> None:
        if not isinstance(resume, (str, Path)):
            raise TypeError(f"resume must be 'auto', 'none' or a path, got {resume!r}.")
        self.checkpoint = checkpoint
        self.resume = resume
        self.resumed_from: Path | None = None
        self._sound: tuple[Any, ...] | None = None  # the files that were found sound last

    def attach(self, engine: Engine) -> None:
        """Restore when the run starts.

        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self.restore)

    def find(self) -> Path | None:
        """The checkpoint that the run will continue from, verified; changes nothing.

        Useful before anything costly is built, to refuse a wrong ``resume`` at once.

        Returns:
            its path, or None to start anew.

        Raises:
            FileNotFoundError: when a path was given and nothing lies there.
            ValueError: (:class:`CheckpointError`) when the checkpoint is incomplete, damaged, holds code, or belongs to
                another run; with "auto", when the folder holds only checkpoints of other runs.
        """
        if self.resume == "none":
            return None
        return self._newest() if self.resume == "auto" else self._named(Path(self.resume))

    def restore(self, engine: Engine) -> None:
        """Load the state of the trainer and of everything the checkpoint handler saves.

        Rank 0 chooses and verifies; the other ranks load the same file from the shared folder.

        Args:
            engine: the trainer.

        Raises:
            FileNotFoundError, ValueError: see :meth:`find`; also when a state does not fit its object.
        """
        path = self._agreed()
        if path is not None:
            self._load(engine, path)
            self.resumed_from = path
        if idist.get_rank() == 0:
            self._clear_the_way(path, int(engine.state.iteration))

    def _newest(self) -> Path | None:
        foreign: list[str] = []
        found = list_checkpoints(self.checkpoint.directory)
        for path in found:
            try:
                differences = self._examined(path)
            except (OSError, CheckpointError) as error:
                _LOGGER.warning("skipped checkpoint %s: %s", path, error)
                continue
            if not differences:
                return path
            foreign.append("; ".join(differences))
            _LOGGER.warning("skipped checkpoint %s: it belongs to another run (%s)", path, foreign[-1])
        if foreign:
            raise CheckpointError(
                f"'{self.checkpoint.directory}' holds checkpoints of another run ({foreign[0]}); choose another "
                "output_dir, or start anew with --resume none, which moves them aside."
            )
        if found:
            _LOGGER.warning("no valid checkpoint in %s: starting anew", self.checkpoint.directory)
        return None

    def _named(self, path: Path) -> Path:
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "missing"
            raise FileNotFoundError(
                f"resume='{path}' is {kind}; expected 'auto', 'none', or a checkpoint file like "
                f"'{self.checkpoint.directory / 'step=000000120.pt'}'."
            )
        differences = self._examined(path)
        if differences:
            raise CheckpointError(
                f"checkpoint '{path}' belongs to another run: {'; '.join(differences)}. Name a checkpoint of this run, "
                "or give this run the settings of the checkpoint."
            )
        return path

    def _examined(self, path: Path) -> list[str]:
        """How a checkpoint's identity differs from this run's. If it does not, the file is whole and can be loaded.

        Files that were found sound when the run was prepared are not read again when it starts, unless they changed.
        """
        files = (path, *(_state(file) for file in (path, sidecar_path(path))))
        if files == self._sound:
            return []
        sidecar = verify_checkpoint(path)
        differences = identity_differences(self.checkpoint.identity, sidecar["identity"])
        if not differences:
            read_checkpoint(path)
            self._sound = files
        return differences

    def _agreed(self) -> Path | None:
        """The choice of rank 0 on every rank; its error, too, so that no rank waits for one that has failed."""
        if idist.get_world_size() == 1:
            return self.find()
        choice: list[Any] = [None]
        if idist.get_rank() == 0:
            try:
                choice = [self.find()]
            except (OSError, ValueError) as error:
                choice = [error]
        dist.broadcast_object_list(choice, src=0)
        if isinstance(choice[0], Exception):
            raise choice[0]
        agreed: Path | None = choice[0]
        return agreed

    def _load(self, engine: Engine, path: Path) -> None:
        contents = read_checkpoint(path)
        targets = {**self.checkpoint.state, "trainer": engine}  # the trainer last: it restores the random states
        missing = [name for name in targets if name not in contents]
        if missing:
            raise CheckpointError(f"checkpoint '{path}' lacks {missing}, it has {sorted(contents)}; use another one.")
        for name, target in targets.items():
            try:
                target.load_state_dict(contents[name])
            except (RuntimeError, KeyError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise CheckpointError(
                    f"checkpoint '{path}': its '{name}' does not fit this run's {type(target).__name__}: {reason}"
                ) from error
        state = engine.state
        _LOGGER.info("resumed from checkpoint %s (step %d)", path, state.iteration)
        if state.epoch_length and state.max_epochs and state.iteration >= state.epoch_length * state.max_epochs:
            _LOGGER.info("this run has all its %d epochs: nothing is left to train; raise the epochs", state.max_epochs)

    def _clear_the_way(self, path: Path | None, step: int) -> None:
        directory = self.checkpoint.directory
        if self.resume == "auto":
            return
        inside = path is not None and path.resolve().parent == directory.resolve()
        aside = set_aside(directory, newer_than=step if inside else -1, keep=path)
        if aside is not None:
            _LOGGER.warning("moved checkpoints of %s that this run does not continue to %s", directory, aside)


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written again."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
