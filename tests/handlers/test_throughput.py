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

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from ignite.engine import Events

from monai_lamps.engines.flops import StepFlops
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


class Fetches(Clock):
    """A clock by which a fetch takes 1 second and a step 3."""

    def attach(self, engine: Any) -> None:
        engine.hook = lambda _: self.take(3.0)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, lambda _: self.take(1.0))


STEP_FLOPS = 5 * 2 * (2 * 4 * 3)  # five images, a linear layer from 4 to 3, forward and the gradient of its weight


def metered(trainer: Callable[..., Any], peak: float = 600.0, **kwargs: Any) -> tuple[Any, ThroughputHandler]:
    engine, clock = trainer(**kwargs), Fetches()
    clock.attach(engine)  # before the handler, so that its seconds count as waiting
    handler = ThroughputHandler(clock, StepFlops(rate=lambda device, dtype: peak))
    handler.attach(engine)
    return engine, handler


def test_arithmetic_and_its_share_of_the_peak_are_those_of_the_epoch(trainer: Callable[..., Any]) -> None:
    engine, handler = metered(trainer, epochs=2, length=4)
    seen: list[dict[str, float]] = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    engine.go()
    for figures in (*seen, handler.summary()):
        assert figures["flops_per_second"] == pytest.approx(STEP_FLOPS / 4)
        assert figures["share_of_peak"] == pytest.approx(STEP_FLOPS / 4 / 600)
    assert len(seen) == 2


def test_laps_are_the_rates_since_the_last_one_or_the_start_of_the_epoch(trainer: Callable[..., Any]) -> None:
    engine, handler = metered(trainer, epochs=2, length=5)
    lap, laps = handler.laps(), []
    assert lap() == {}
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=2), lambda _: laps.append(lap()))
    engine.hook = lambda e: handler._clock.take(3.0 if e.state.iteration <= 4 else 7.0)  # type: ignore[attr-defined]
    engine.go()
    rates = [5 / 4, 5 / 4, 5 / 8, 5 / 8, 5 / 8]  # the third one sees the first step of the second epoch only
    assert [figures["images_per_second"] for figures in laps] == pytest.approx(rates)
    assert [figures["data_wait_share"] for figures in laps] == pytest.approx([rate / 5 for rate in rates])
    assert [figures["flops_per_second"] for figures in laps] == pytest.approx([STEP_FLOPS / 5 * r for r in rates])
    assert [figures["share_of_peak"] for figures in laps] == pytest.approx([STEP_FLOPS / 3000 * r for r in rates])
    assert 0.01 < laps[0]["peak_memory_gb"] < 1000


def test_a_resumed_run_keeps_its_figures_and_its_counts(trainer: Callable[..., Any]) -> None:
    first, before = metered(trainer, epochs=1, length=4)
    first.go()
    stream = io.BytesIO()
    torch.save(before.state_dict(), stream)
    stream.seek(0)
    second, after = metered(trainer, peak=1200.0, epochs=1, length=4)  # on a faster device
    after.load_state_dict(torch.load(stream, weights_only=True))
    assert after.summary() == {**before.summary(), "peak_memory_gb": after.summary()["peak_memory_gb"]}
    assert after.flops is not None
    after.flops.per_image[()] *= 2  # to see that it is what is used
    second.go()
    summary = after.summary()
    assert summary["images"] == 40
    assert summary["flops_per_second"] == pytest.approx(3 * 4 * STEP_FLOPS / 32)
    assert summary["share_of_peak"] == pytest.approx(3 * 4 * STEP_FLOPS / (16 * 600 + 16 * 1200))


def test_the_state_of_a_run_without_flops_will_do_and_its_time_does_not_dilute_them(
    trainer: Callable[..., Any],
) -> None:
    engine, handler = metered(trainer, epochs=1, length=4)
    handler.load_state_dict({"images": 100, "seconds": 1000.0, "waited": 10.0})
    engine.go()
    summary = handler.summary()
    assert summary["images_per_second"] == pytest.approx(120 / 1016)
    assert summary["flops_per_second"] == pytest.approx(STEP_FLOPS / 4)
    assert summary["share_of_peak"] == pytest.approx(STEP_FLOPS / 4 / 600)


def test_without_flops_there_are_no_figures_of_arithmetic(trainer: Callable[..., Any]) -> None:
    engine, handler = trainer(epochs=1, length=2), ThroughputHandler()
    handler.attach(engine)
    engine.go()
    assert set(engine.state.metrics) == {"images_per_second", "data_wait_share", "peak_memory_gb"}
    assert not set(handler.summary()) & {"flops_per_second", "share_of_peak"}
    handler.load_state_dict({**handler.state_dict(), "counted": {"per_image": {(): 1.0}}})


def test_before_the_end_of_the_first_epoch_there_is_nothing_to_sum_up() -> None:
    assert ThroughputHandler().summary() == {}
    assert ThroughputHandler(flops=StepFlops()).summary() == {}


def test_peak_memory_never_falls() -> None:
    before = peak_memory_gb()
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_memory_gb() >= max(before, 0.2)
