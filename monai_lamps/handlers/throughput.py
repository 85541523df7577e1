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
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from .epoch_figures import EpochFigures

__all__ = ["ThroughputHandler", "peak_memory_gb"]


class ThroughputHandler(EpochFigures):
    """Measures how fast a run is, and which share of the time it waits for data.

    At the end of an epoch it writes into ``engine.state.metrics``:
    ``images_per_second`` (over all ranks, from the start of the epoch to the end of its last iteration, so without
    validation and saving), ``data_wait_share`` (0 to 1: time spent fetching batches over the same span; a share near 0
    means that the loader keeps up) and ``peak_memory_gb`` (see :func:`peak_memory_gb`).

    Reading a clock is all that a step costs. A device works behind the clock, so it is waited for once an epoch, after
    its last iteration.

    Args:
        clock: seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        self._clock = clock
        self._images = 0
        self._start = self._end = self._fetch_start = self._waited = 0.0
        self._total_images = 0
        self._total_seconds = self._total_waited = 0.0

    def attach(self, engine: Engine) -> None:
        """Measure every epoch of the engine.

        Args:
            engine: the trainer; its output holds "batch_size", the images of this rank.
        """
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._fetch_started)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._fetch_completed)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def state_dict(self) -> dict[str, float]:
        """Images, seconds and seconds waited so far, so that a resumed run keeps its figures."""
        return {"images": self._total_images, "seconds": self._total_seconds, "waited": self._total_waited}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self._total_images = int(state["images"])
        self._total_seconds, self._total_waited = float(state["seconds"]), float(state["waited"])

    def summary(self) -> dict[str, float]:
        """The figures over all epochs that this process has completed.

        Returns:
            ``images``, ``seconds``, ``images_per_second``, ``data_wait_share``, ``peak_memory_gb``; zeros before the
            first epoch.
        """
        return {
            "images": float(self._total_images),
            "seconds": self._total_seconds,
            **_rates(self._total_images, self._total_seconds, self._total_waited),
        }

    def _epoch_started(self, _engine: Engine) -> None:
        self._images, self._waited = 0, 0.0
        self._start = self._end = self._fetch_start = self._clock()

    def _fetch_started(self, _engine: Engine) -> None:
        self._fetch_start = self._clock()

    def _fetch_completed(self, _engine: Engine) -> None:
        self._waited += self._clock() - self._fetch_start

    def _iteration_completed(self, engine: Any) -> None:
        self._images += engine.state.output["batch_size"]
        length = engine.state.epoch_length
        if length is not None and engine.state.iteration % length == 0 and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self._end = self._clock()

    def _epoch_completed(self, engine: Engine) -> None:
        images, seconds = self._images * idist.get_world_size(), self._end - self._start
        self._total_images += images
        self._total_seconds += seconds
        self._total_waited += self._waited
        self.publish(engine, _rates(images, seconds, self._waited))


def _rates(images: int, seconds: float, waited: float) -> dict[str, float]:
    return {
        "images_per_second": images / seconds if seconds > 0 else 0.0,
        "data_wait_share": waited / seconds if seconds > 0 else 0.0,
        "peak_memory_gb": peak_memory_gb(),
    }


def peak_memory_gb() -> float:
    """Most memory that this process has held so far, in GB (1e9 bytes).

    On a GPU what torch has allocated there, else the resident set of the process (without its data loader workers);
    0.0 where the system does not tell.
    """
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        import resource
    except ImportError:  # not a Unix system
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
