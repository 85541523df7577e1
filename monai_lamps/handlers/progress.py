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
from collections.abc import Callable, Collection, Mapping
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar

from .late import REPORTING, attach_after
from .throughput import ThroughputHandler

__all__ = ["ProgressHandler", "epoch_line"]

_LOGGER = logging.getLogger(__name__)


class ProgressHandler:
    """Tells a person how the run goes: a progress bar on a terminal, a readable line at the end of each epoch.

    The bar is Ignite's, with the loss and how fast the run has been since the bar last moved: images per second, the
    share of waiting for data, peak memory and the share of the device's peak arithmetic rate, as far as ``throughput``
    measures them. It moves every ``interval`` iterations, and only then the loss is read from the device. Without a
    terminal (a log file, a scheduler) no bar is drawn; a line is logged instead every ``seconds``. Only rank 0 speaks.

    Args:
        interval: iterations between two looks.
        bar: whether to draw the bar; None draws it when standard error is a terminal.
        seconds: between two lines when there is no bar.
        clock: seconds; for tests.
        throughput: the handler that measures, attached to the same trainer; None shows the images per second of this
            rank only.
        figures: names of the ``train/...`` and ``validation/...`` figures that the line of an epoch shows, where there
            are many, e.g. ``["validation/dice", "validation/hd95"]`` without those of each structure; None shows all.
            Losses and rates are always shown. All figures stay in ``engine.state.metrics``, where others read them.

    Raises:
        ValueError: when ``interval`` is below 1, or ``figures`` is a text.
    """

    def __init__(
        self,
        interval: int = 10,
        bar: bool | None = None,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        throughput: ThroughputHandler | None = None,
        figures: Collection[str] | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 iteration, got {interval}.")
        if isinstance(figures, str):
            raise ValueError(f"figures must be a list of names, got the text '{figures}'; give ['{figures}'].")
        self.interval = interval
        self.bar = sys.stderr.isatty() if bar is None else bar
        self.seconds = seconds
        self.figures = None if figures is None else frozenset(figures)
        self._clock = clock
        self._looked = self._said = self._started = clock()
        self._looked_iteration = 0
        self._lap = None if throughput is None else throughput.laps()

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
            bar.attach(engine, output_transform=lambda _output: self._postfix(engine), event_name=every)
            engine.add_event_handler(Events.COMPLETED, bar._close)  # an epoch that was broken off leaves it open
        else:
            engine.add_event_handler(every, self._say)
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)

    def _epoch_started(self, engine: Engine) -> None:
        self._looked = self._said = self._started = self._clock()
        self._looked_iteration = engine.state.iteration

    def _look(self, engine: Any) -> dict[str, float]:
        """The loss, and the rates since the last look by the names of :class:`ThroughputHandler`."""
        rates = self._own_rate(engine) if self._lap is None else self._lap()
        return {"loss": float(engine.state.output["loss"]), **rates}

    def _own_rate(self, engine: Any) -> dict[str, float]:
        now, iteration = self._clock(), engine.state.iteration
        images = engine.state.output["batch_size"] * (iteration - self._looked_iteration)
        seconds = now - self._looked
        self._looked, self._looked_iteration = now, iteration
        return {"images_per_second": images / seconds} if seconds > 0 else {}

    def _postfix(self, engine: Any) -> dict[str, str]:
        figures = self._look(engine)
        shown = {"loss": f"{figures['loss']:.4g}"}
        for name, words, write in _BAR:
            if name in figures:
                shown[words] = write(figures[name])
        return shown

    def _say(self, engine: Any) -> None:
        if self._clock() - self._said < self.seconds:
            return
        self._said = self._clock()
        state, figures = engine.state, self._look(engine)
        done = (state.iteration - 1) % state.epoch_length + 1
        said = ", ".join([f"loss {figures['loss']:.4g}", *_rates(figures)])
        _LOGGER.info("epoch %d/%d, step %d/%d: %s", state.epoch, state.max_epochs, done, state.epoch_length, said)

    def _epoch_completed(self, engine: Engine) -> None:
        line = epoch_line(engine.state.metrics, self.figures)
        seconds = self._clock() - self._started
        _LOGGER.info("epoch %d/%d %s, %s", engine.state.epoch, engine.state.max_epochs, line, _duration(seconds))


def epoch_line(figures: Mapping[str, Any], shown: Collection[str] | None = None) -> str:
    """The figures of an epoch as a person would say them.

    Args:
        figures: ``engine.state.metrics`` at the end of an epoch, with the names of this package's handlers.
        shown: names of the ``train/...`` and ``validation/...`` figures to show; None for all.

    Returns:
        for example ``order: loss 5.21, order_accuracy 0.031, validation order_accuracy 0.028, effective rank 12.3,
        41 images/s, waiting for data 3 %, 12 GB, 54 TFLOP/s = 35 % of peak``; what was not measured is left out.
    """
    terms = [name.removeprefix("loss/") for name in figures if name.startswith("loss/") and name != "loss/total"]
    parts = [f"loss {_short(figures['loss/total'])}"] if "loss/total" in figures else []
    parts += [f"{term} {_short(figures[f'loss/{term}'])}" for term in terms if len(terms) > 1]
    said = {*terms, *(f"{term}_loss" for term in terms)}
    for prefix, words in (("train/", ""), ("validation/", "validation ")):
        for name, value in figures.items():
            reading = name.removeprefix(prefix)
            wanted = shown is None or name in shown
            if name.startswith(prefix) and wanted and (reading not in said or words):
                parts.append(f"{words}{reading} {_short(value)}")
    if "collapse/effective_rank" in figures:
        parts.append(f"effective rank {_short(figures['collapse/effective_rank'])}")
    parts += _rates(figures)
    return (f"{' + '.join(terms)}: " if terms else "") + ", ".join(parts)


def _rates(figures: Mapping[str, Any]) -> list[str]:
    """What :class:`ThroughputHandler` measures, in words."""
    parts = []
    if "images_per_second" in figures:
        parts.append(f"{_short(figures['images_per_second'])} images/s")
    if "data_wait_share" in figures:
        parts.append(f"waiting for data {_percent(figures['data_wait_share'])} %")
    if "peak_memory_gb" in figures:
        parts.append(f"{_short(figures['peak_memory_gb'])} GB")
    if "flops_per_second" in figures:
        share = _percent(figures["share_of_peak"])
        parts.append(f"{_arithmetic(figures['flops_per_second'])} = {share} % of peak")
    return parts


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.01 else f"{100 * share:.0f}"


def _arithmetic(flops_per_second: float) -> str:
    for unit, name in ((1e15, "P"), (1e12, "T"), (1e9, "G")):
        if flops_per_second >= unit:
            return f"{_short(flops_per_second / unit)} {name}FLOP/s"
    return f"{_short(flops_per_second / 1e6)} MFLOP/s"


def _short(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) and abs(value) >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_BAR: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("images_per_second", "images/s", _short),
    ("data_wait_share", "waiting", lambda share: f"{_percent(share)}%"),
    ("peak_memory_gb", "memory", lambda value: f"{_short(value)}GB"),
    ("share_of_peak", "of peak", lambda share: f"{_percent(share)}%"),
)
"""What the bar shows beside the loss: the figure, what the bar calls it, and how it is written."""
