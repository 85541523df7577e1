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

from collections.abc import Callable
from typing import Any

import pytest
from ignite.engine import Events

from monai_lamps.handlers import ThroughputHandler, peak_memory_gb


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def take(self, seconds: float) -> None:
        self.now += seconds


def test_images_per_second_and_the_share_of_waiting(trainer: Callable[..., Any]) -> None:
    engine, clock = trainer(epochs=2, length=4), Clock()
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: clock.take(1000.0))  # validation, attached before
    handler = ThroughputHandler(clock)
    handler.attach(engine)
    engine.hook = lambda e: clock.take(3.0 if e.state.epoch == 1 else 1.0)

    def batches() -> Any:
        while True:
            clock.take(1.0)
            yield None

    seen: list[dict[str, float]] = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    engine.run(batches(), max_epochs=2, epoch_length=4)
    assert [s["images_per_second"] for s in seen] == pytest.approx([20 / 16, 20 / 8])
    assert [s["data_wait_share"] for s in seen] == pytest.approx([4 / 16, 4 / 8])
    assert 0.01 < seen[0]["peak_memory_gb"] < 1000
    summary = handler.summary()
    assert summary["images"] == 40
    assert summary["seconds"] == pytest.approx(24)
    assert summary["images_per_second"] == pytest.approx(40 / 24)
    assert summary["data_wait_share"] == pytest.approx(8 / 24)


def test_the_restart_of_a_loader_counts_as_waiting(trainer: Callable[..., Any]) -> None:
    engine, clock = trainer(epochs=1, length=4), Clock()
    handler = ThroughputHandler(clock)
    handler.attach(engine)

    class Loader:
        def __iter__(self) -> Any:
            clock.take(5.0)
            yield from range(2)

        def __len__(self) -> int:
            return 2

    engine.hook = lambda _: clock.take(1.0)
    engine.run(Loader(), max_epochs=1, epoch_length=4)
    assert handler.summary()["data_wait_share"] == pytest.approx(10 / 14)


def test_before_the_first_epoch_the_summary_is_zero() -> None:
    summary = ThroughputHandler().summary()
    assert (summary["images"], summary["images_per_second"], summary["data_wait_share"]) == (0, 0, 0)


def test_peak_memory_never_falls() -> None:
    before = peak_memory_gb()
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_memory_gb() >= max(before, 0.2)
