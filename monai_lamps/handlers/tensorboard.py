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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.utils import is_scalar, optional_import
from torch import Tensor

from .late import REPORTING, attach_after
from .throughput import ThroughputHandler

__all__ = ["TensorBoardMetrics"]

_LOGGER = logging.getLogger(__name__)
SummaryWriter, _HAS_TENSORBOARD = optional_import("torch.utils.tensorboard", name="SummaryWriter")


class TensorBoardMetrics:
    """Writes the curves of a run to TensorBoard.

    Every ``iteration_log`` iterations: ``step/loss/total``, ``step/loss/<term>``, ``step/train/<reading>``,
    ``step/lr`` and ``step/weight_decay`` (the greatest over the parameter groups), in one reading of the device, and
    with ``throughput`` its figures since the last ones (``step/images_per_second``, ``step/share_of_peak``, ...). At
    the end of an epoch: every scalar of ``engine.state.metrics`` under its own name. The x axis is always the
    iteration.

    MONAI's ``TensorBoardStatsHandler`` is not used: it opens its files before the run knows where it resumes, and puts
    epochs and iterations on one axis, so that curves of a resumed run overlap. Here the writer opens at the first
    value and discards (``purge_step``) what an interrupted process had written after the checkpoint.

    A disk error is logged once, and training goes on without curves. Only rank 0 writes.

    Args:
        log_dir: folder of the event files, by custom ``OUT/tensorboard``.
        iteration_log: iterations between two values; 0 for the epochs' figures only.
        throughput: the handler that measures how fast the run is, attached to the same trainer; its figures of whole
            epochs are written without it, too.

    Raises:
        RuntimeError: when tensorboard is not installed.
        ValueError: when ``iteration_log`` is negative.
    """

    def __init__(
        self, log_dir: str | Path, iteration_log: int = 10, throughput: ThroughputHandler | None = None
    ) -> None:
        if not _HAS_TENSORBOARD:
            raise RuntimeError("TensorBoardMetrics needs tensorboard; pip install tensorboard, or leave it out.")
        if iteration_log < 0:
            raise ValueError(f"iteration_log must be positive, or 0 for epochs only, got {iteration_log}.")
        self.log_dir = Path(log_dir)
        self.iteration_log = iteration_log
        self._lap = None if throughput is None else throughput.laps()
        self._writer: Any = None
        self._start = 0
        self._broken = False

    def attach(self, engine: Engine) -> None:
        """Write during the run and close the files at its end.

        Args:
            engine: the trainer.
        """
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)
        if self.iteration_log:
            every = Events.ITERATION_COMPLETED(every=self.iteration_log)
            attach_after(engine, every, self._iteration_completed, REPORTING)
        engine.add_event_handler(Events.EPOCH_STARTED, self._note_start)
        attach_after(engine, Events.COMPLETED, self.close, REPORTING)

    def add_image(self, tag: str, image: Tensor, step: int) -> None:
        """Write a picture.

        Args:
            tag: its name.
            image: (1 or 3, H, W), float in [0, 1].
            step: the iteration.
        """
        self._write(lambda writer: writer.add_image(tag, image, step))

    def close(self, _engine: Engine | None = None) -> None:
        """Flush and close the files; a later value opens new ones."""
        if self._writer is not None:
            self._write(lambda writer: writer.close())
            self._writer = None

    def _note_start(self, engine: Engine) -> None:
        if self._writer is None:
            self._start = int(engine.state.iteration)

    def _write(self, action: Callable[[Any], Any]) -> None:
        if self._broken or idist.get_rank() != 0:
            return
        try:
            if self._writer is None:
                self._writer = SummaryWriter(log_dir=str(self.log_dir), purge_step=self._start + 1)
            action(self._writer)
        except OSError as error:
            self._broken = True
            _LOGGER.error("could not write to %s: %s; training goes on without curves", self.log_dir, error)

    def _iteration_completed(self, engine: Any) -> None:
        if self._broken or idist.get_rank() != 0:
            return
        output = engine.state.output
        figures = {"step/loss/total": output["loss"]}
        figures.update({f"step/loss/{name}": value for name, value in output["terms"].items()})
        figures.update({f"step/train/{name}": value for name, value in output["latest"].items()})
        values = torch.stack([value.detach().float() for value in figures.values()]).tolist()
        groups = engine.optimizer.param_groups
        rates = {"step/lr": max(float(group["lr"]) for group in groups)}
        if "weight_decay" in groups[0]:
            rates["step/weight_decay"] = max(float(group["weight_decay"]) for group in groups)
        if self._lap is not None:
            rates.update({f"step/{name}": value for name, value in self._lap().items()})
        self._scalars({**dict(zip(figures, values, strict=True)), **rates}, engine.state.iteration)

    def _epoch_completed(self, engine: Engine) -> None:
        figures = {name: float(value) for name, value in engine.state.metrics.items() if is_scalar(value)}
        self._scalars(figures, engine.state.iteration)
        if self._writer is not None:
            self._write(lambda writer: writer.flush())

    def _scalars(self, figures: dict[str, float], step: int) -> None:
        def write(writer: Any) -> None:
            for name, value in figures.items():
                writer.add_scalar(name, value, step)

        self._write(write)
