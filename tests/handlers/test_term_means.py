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

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from ignite.engine import Events

from monai_lamps.handlers import (
    HistoryHandler,
    ProgressHandler,
    TensorBoardMetrics,
    TermMeansHandler,
    ThroughputHandler,
)


def test_means_over_the_epoch_of_what_was_active_in_it(trainer: Callable[..., Any]) -> None:
    engine, seen = trainer(epochs=2, length=4), []
    TermMeansHandler().attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    engine.go()
    first, second = sum(engine.losses[:4]) / 4, sum(engine.losses[4:]) / 4
    names = ("loss/total", "loss/order", "train/order", "train/order_accuracy")
    assert seen[0] == pytest.approx(dict(zip(names, (first, first, 2 * first, 0.25), strict=True)))
    names = ("loss/total", "loss/context", "train/context", "train/context_accuracy")
    assert seen[1] == pytest.approx(dict(zip(names, (second, second, 2 * second, 0.25), strict=True)))


def test_a_term_counts_only_the_steps_in_which_it_appeared_and_was_finite(trainer: Callable[..., Any]) -> None:
    engine = trainer(epochs=1, length=4)
    values = {1: {"a": 1.0}, 2: {"a": math.nan, "b": math.inf}, 3: {"a": 4.0}, 4: {}}

    def replace(engine: Any) -> None:
        terms = {name: torch.tensor(v, dtype=torch.bfloat16) for name, v in values[engine.state.iteration].items()}
        engine.state.output = {"loss": torch.tensor(2.0, requires_grad=True), "terms": terms, "latest": {}}

    engine.add_event_handler(Events.ITERATION_COMPLETED, replace)
    TermMeansHandler().attach(engine)
    engine.go()
    assert engine.state.metrics["loss/a"] == 2.5
    assert engine.state.metrics["loss/total"] == 2.0
    assert math.isnan(engine.state.metrics["loss/b"])


def test_handlers_do_not_read_the_device_in_every_step(
    tmp_path: Any, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, reads = trainer(epochs=1, length=40), []
    for handler in (
        TermMeansHandler(),
        ThroughputHandler(),
        HistoryHandler(),
        TensorBoardMetrics(tmp_path, iteration_log=20),
        ProgressHandler(interval=20, bar=True),
    ):
        handler.attach(engine)
    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "cpu", "numpy"):
        original = getattr(torch.Tensor, name)

        def count(self: torch.Tensor, *args: Any, original: Any = original, **kwargs: Any) -> Any:
            reads.append(engine.state.iteration)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, count)
    engine._process_function = lambda engine, batch: {
        "loss": torch.ones(()),
        "terms": {"order": torch.ones(())},
        "latest": {"order": torch.ones(())},
        "batch_size": 5,
    }
    engine.go()
    assert set(reads) == {20, 40}


def test_an_epoch_resumed_in_its_middle_ends_with_the_same_means(trainer: Callable[..., Any]) -> None:
    whole, states = trainer(epochs=2, length=4), {}
    terms = TermMeansHandler()
    terms.attach(whole)
    whole.add_event_handler(
        Events.ITERATION_COMPLETED, lambda e: states.__setitem__(e.state.iteration, terms.state_dict())
    )
    seen: list[dict] = []
    whole.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    whole.go()
    for start in (6, 4):  # in the middle of the second epoch, and at its start, where the sums of the first must go
        rest = trainer(epochs=2, length=4)
        resumed = TermMeansHandler()
        resumed.load_state_dict(states[start])
        resumed.attach(rest)
        rest.state.iteration = start
        resumed._reset(rest)
        for iteration in range(start + 1, 9):
            rest.state.iteration = iteration
            value = torch.tensor(whole.losses[iteration - 1])
            rest.state.output = {
                "loss": value,
                "terms": {"context": value},
                "latest": {"context": 2 * value, "context_accuracy": torch.tensor(0.25)},
            }
            resumed._add(rest)
        resumed._write(rest)
        assert rest.state.metrics == seen[1]
