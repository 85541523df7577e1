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
import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar

from .late import REPORTING, attach_after

__all__ = ["ProgressHandler", "epoch_line"]

_LOGGER = logging.getLogger(__name__)


class ProgressHandler:
    """Tells a person how the run goes: a progress bar on a terminal, a readable line at the end of each epoch.

    The bar is Ignite's, with the loss and the images per second of this rank. It moves every ``interval`` iterations,
    and only then the loss is read from the device. Without a terminal (a log file, a scheduler) no bar is drawn;
    a line is logged instead every ``seconds``. Only rank 0 speaks.

    Args:
        interval: iterations between two looks.
        bar: whether to draw the bar; None draws it when standard error is a terminal.
        seconds: between two lines when there is no bar.
        clock: seconds; for tests.

    Raises:
        ValueError: when ``interval`` is below 1.
    """

    def __init__(
        self,
        interval: int = 10,
        bar: bool | None = None,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 iteration, got {interval}.")
        self.interval = interval
        self.bar = sys.stderr.isatty() if bar is None else bar
        self.seconds = seconds
        self._clock = clock
        self._looked = self._said = self._started = clock()
        self._looked_iteration = 0

    def attach(self, engine: Engine) -> None:
        """Speak during the run.

        Args:
            engine: the trainer.
        """
        if idist.get_rank() != 0:
            return
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        every = Events.ITERATION_COMPLETED(every=self.interval)
        if self.bar:
            bar = ProgressBar()
            bar.attach(engine, output_transform=lambda _output: self._look(engine), event_name=every)
            engine.add_event_handler(Events.COMPLETED, bar._close)  # an epoch that was broken off leaves it open
        else:
            engine.add_event_handler(every, self._say)
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)

    def _epoch_started(self, engine: Engine) -> None:
        self._looked = self._said = self._started = self._clock()
        self._looked_iteration = engine.state.iteration

    def _look(self, engine: Any) -> dict[str, str]:
        now, iteration, output = self._clock(), engine.state.iteration, engine.state.output
        images, seconds = output["batch_size"] * (iteration - self._looked_iteration), now - self._looked
        self._looked, self._looked_iteration = now, iteration
        return {"loss": f"{float(output['loss']):.4g}", "images/s": _short(images / seconds) if seconds > 0 else "-"}

    def _say(self, engine: Any) -> None:
        if self._clock() - self._said < self.seconds:
            return
        self._said = self._clock()
        state, figures = engine.state, self._look(engine)
        done = (state.iteration - 1) % state.epoch_length + 1
        _LOGGER.info(
            "epoch %d/%d, step %d/%d: loss %s, %s images/s",
            state.epoch,
            state.max_epochs,
            done,
            state.epoch_length,
            figures["loss"],
            figures["images/s"],
        )

    def _epoch_completed(self, engine: Engine) -> None:
        line = epoch_line(engine.state.metrics)
        seconds = self._clock() - self._started
        _LOGGER.info("epoch %d/%d %s, %s", engine.state.epoch, engine.state.max_epochs, line, _duration(seconds))


def epoch_line(figures: Mapping[str, Any]) -> str:
    """The figures of an epoch as a person would say them.

    Args:
        figures: ``engine.state.metrics`` at the end of an epoch, with the names of this package's handlers.

    Returns:
        for example ``order: loss 5.21, order_accuracy 0.031, validation order_accuracy 0.028, effective rank 12.3,
        41 images/s, waiting for data 3 %``; what was not measured is left out.
    """
    terms = [name.removeprefix("loss/") for name in figures if name.startswith("loss/") and name != "loss/total"]
    parts = [f"loss {_short(figures['loss/total'])}"] if "loss/total" in figures else []
    parts += [f"{term} {_short(figures[f'loss/{term}'])}" for term in terms if len(terms) > 1]
    shown = {*terms, *(f"{term}_loss" for term in terms)}
    for prefix, words in (("train/", ""), ("validation/", "validation ")):
        for name, value in figures.items():
            reading = name.removeprefix(prefix)
            if name.startswith(prefix) and (reading not in shown or words):
                parts.append(f"{words}{reading} {_short(value)}")
    if "collapse/effective_rank" in figures:
        parts.append(f"effective rank {_short(figures['collapse/effective_rank'])}")
    if "images_per_second" in figures:
        parts.append(f"{_short(figures['images_per_second'])} images/s")
    if "data_wait_share" in figures:
        parts.append(f"waiting for data {100 * figures['data_wait_share']:.0f} %")
    return (f"{' + '.join(terms)}: " if terms else "") + ", ".join(parts)


def _short(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) and abs(value) >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
