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

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from monai_lamps.engines.flops import StepFlops

from .epoch_figures import EpochFigures

__all__ = ["ThroughputHandler", "peak_memory_gb"]


@dataclass(frozen=True)
class _Work:
    """What has been done, and in which time. FLOPs count only where they are metered, hence times of their own.

    ``images`` and ``flops`` are over all ranks; ``possible`` are the FLOPs that the devices could have done in the
    ``metered`` seconds.
    """

    images: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    flops: float = 0.0
    metered: float = 0.0
    possible: float = 0.0

    def __add__(self, other: _Work) -> _Work:
        return _Work(*(mine + others for mine, others in zip(self._values(), other._values(), strict=True)))

    def __sub__(self, other: _Work) -> _Work:
        return _Work(*(mine - others for mine, others in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> tuple[float, ...]:
        return (self.images, self.seconds, self.waited, self.flops, self.metered, self.possible)

    def rates(self, metered: bool) -> dict[str, float]:
        figures = {
            "images_per_second": _ratio(self.images, self.seconds),
            "data_wait_share": _ratio(self.waited, self.seconds),
            "peak_memory_gb": peak_memory_gb(),
        }
        if metered:
            figures["flops_per_second"] = _ratio(self.flops, self.metered)
            figures["share_of_peak"] = _ratio(self.flops, self.possible)
        return figures


class ThroughputHandler(EpochFigures):
    """Measures how fast a run is, which share of the time it waits for data, and how well it uses the device.

    At the end of an epoch it writes into ``engine.state.metrics``:

    - ``images_per_second``: over all ranks, from the start of the epoch to the end of its last iteration, so without
      validation and saving;
    - ``data_wait_share``: 0 to 1, time spent fetching batches over the same span; a share near 0 means that the loader
      keeps up;
    - ``peak_memory_gb``: see :func:`peak_memory_gb`;
    - with ``flops``: ``flops_per_second``, the arithmetic over all ranks, and ``share_of_peak``, that of a rank over
      what a large matrix product reached on its device when the run started (all ranks are taken to be like this one).

    Reading a clock is all that a step costs. A device works behind the clock, so it is waited for once an epoch, after
    its last iteration. During an epoch :meth:`laps` tells the same figures without waiting.

    Args:
        clock: seconds; for tests.
        flops: counts the arithmetic of the steps; None leaves the last two figures out.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, flops: StepFlops | None = None) -> None:
        super().__init__()
        self.flops = flops
        self._clock = clock
        self._epochs = 0
        self._start = self._fetch_start = self._waited = self._flops_before = 0.0
        self._images = 0
        self._epoch, self._total = _Work(), _Work()

    def attach(self, engine: Engine) -> None:
        """Measure every epoch of the engine.

        Args:
            engine: the trainer; its output holds "batch_size", the images of this rank.
        """
        super().attach(engine)
        if self.flops is not None:
            self.flops.attach(engine)
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._fetch_started)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._fetch_completed)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def state_dict(self) -> dict[str, Any]:
        """What has been done so far and in which time, and what was counted, so that a resumed run keeps its figures.

        Tensors and primitives only; no communication.
        """
        total = self._total
        return {
            "images": int(total.images),
            "seconds": total.seconds,
            "waited": total.waited,
            "flops": total.flops,
            "metered_seconds": total.metered,
            "possible_flops": total.possible,
            "counted": {} if self.flops is None else self.flops.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; that of a run without FLOPs will do.

        Args:
            state: from :meth:`state_dict`.
        """
        always = (float(state[name]) for name in ("images", "seconds", "waited"))
        metered = (float(state.get(name, 0.0)) for name in ("flops", "metered_seconds", "possible_flops"))
        self._total = _Work(*always, *metered)
        if self.flops is not None and state.get("counted"):
            self.flops.load_state_dict(state["counted"])

    def summary(self) -> dict[str, float]:
        """The figures over all epochs that this run has completed.

        Returns:
            ``images``, ``seconds``, ``images_per_second``, ``data_wait_share``, ``peak_memory_gb``, and with ``flops``
            ``flops_per_second`` and ``share_of_peak`` over the epochs in which they were counted; empty before the end
            of the first epoch.
        """
        total = self._total
        if not total.seconds:
            return {}
        return {"images": total.images, "seconds": total.seconds, **total.rates(self.flops is not None)}

    def laps(self) -> Callable[[], dict[str, float]]:
        """A watch for figures during an epoch: the device is not waited for, and nothing is communicated.

        Returns:
            a function that gives the figures that the class has for an epoch, by the same names, for the iterations
            since it was last called, or since the epoch started; empty when there was none.
        """
        epochs, before = self._epochs, _Work()

        def lap() -> dict[str, float]:
            nonlocal epochs, before
            work = self._epoch - before if epochs == self._epochs else self._epoch
            epochs, before = self._epochs, self._epoch
            return work.rates(self.flops is not None) if work.images else {}

        return lap

    def _epoch_started(self, _engine: Engine) -> None:
        self._epochs += 1
        self._images, self._waited, self._epoch = 0, 0.0, _Work()
        self._flops_before = 0.0 if self.flops is None else self.flops.done
        self._start = self._fetch_start = self._clock()

    def _fetch_started(self, _engine: Engine) -> None:
        self._fetch_start = self._clock()

    def _fetch_completed(self, _engine: Engine) -> None:
        self._waited += self._clock() - self._fetch_start

    def _iteration_completed(self, engine: Any) -> None:
        self._images += engine.state.output["batch_size"]
        length = engine.state.epoch_length
        if length is not None and engine.state.iteration % length == 0 and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        seconds, ranks = self._clock() - self._start, idist.get_world_size()
        arithmetic: tuple[float, ...] = ()
        if self.flops is not None:
            done = self.flops.done - self._flops_before
            arithmetic = (ranks * done, seconds, ranks * self.flops.peak * seconds)
        self._epoch = _Work(ranks * self._images, seconds, self._waited, *arithmetic)

    def _epoch_completed(self, engine: Engine) -> None:
        self._total += self._epoch
        self.publish(engine, self._epoch.rates(self.flops is not None))


def _ratio(amount: float, whole: float) -> float:
    return amount / whole if whole > 0 else 0.0


def peak_memory_gb() -> float:
    """Most memory that this process has held so far, in GB (1e9 bytes).

    On a GPU what torch has allocated there, else the resident set of the process (without its data loader workers);
    0.0 where the system does not tell. A step whose FLOPs were counted is among it, which was not compiled.
    """
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        import resource
    except ImportError:  # not a Unix system
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
