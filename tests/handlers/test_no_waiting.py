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
"""A step must not wait for the device: what reads a value on the host is counted, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines import Cosine, NonFiniteGuard, PerParameterClip, PretrainingTrainer
from monai_lamps.engines.flops import StepFlops
from monai_lamps.handlers import ProgressHandler, TensorBoardMetrics, TermMeansHandler, ThroughputHandler

from .test_with_trainer import Samples, TinyMethod

LOOK = 4  # steps between two looks of the bar and of TensorBoard
READING = ("item", "tolist", "numpy", "cpu", "__float__", "__int__", "__bool__", "__index__")
WAITING = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2", "unique_consecutive")


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU, while it is entered: methods of tensors, and operations below them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.steps: list[Counter[str]] = []
        self.on = False
        for name in READING:
            monkeypatch.setattr(torch.Tensor, name, self.noting(name, getattr(torch.Tensor, name)))

    def noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            if self.on:
                self.seen[name] += 1
            return method(tensor, *args, **kwargs)

        return noted

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._overloadpacket.__name__
        if name in WAITING and not self.seen.total():  # otherwise it is the method that was noted
            self.seen[name] += 1
        return function(*args, **(kwargs or {}))

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(Events.ITERATION_STARTED, self.start)
        engine.add_event_handler(Events.STARTED, self.attach_last)

    def attach_last(self, engine: Any) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED(once=1), self.attach_behind_late_handlers)

    def attach_behind_late_handlers(self, engine: Any) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.stop)

    def start(self, _engine: Any) -> None:
        self.seen, self.on = Counter(), True
        self.__enter__()

    def stop(self, _engine: Any) -> None:
        self.__exit__(None, None, None)
        self.on = False
        self.steps.append(self.seen)


def run(folder: Path, waits: Waits, guard: NonFiniteGuard | None = None, careless: bool = False) -> list[Counter[str]]:
    """Twelve steps with everything that watches a run; the waits of each."""
    torch.manual_seed(0)
    method = TinyMethod()
    throughput = ThroughputHandler(flops=StepFlops(rate=lambda device, dtype: 1e9))
    trainer = PretrainingTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=DataLoader(Samples(), batch_sampler=ResumableBatchSampler(36, 3)),
        network=method,
        optimizer=torch.optim.AdamW(method.parameters(), fused=True),
        schedules={"lr": Cosine(0.01, 0.0)},
        clip=PerParameterClip(0.8),
        guard=guard,
        train_handlers=[
            TermMeansHandler(),
            throughput,
            ProgressHandler(interval=LOOK, bar=True, throughput=throughput),
            TensorBoardMetrics(folder, iteration_log=LOOK, throughput=throughput),
        ],
    )
    if careless:
        trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.state.output["loss"].item())
    waits.attach(trainer)
    trainer.run()
    return waits.steps


def test_no_step_waits_for_the_device_but_those_whose_loss_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = run(tmp_path, Waits(monkeypatch))
    assert len(steps) == 12
    shown = {"__float__": 1, "tolist": 1}  # the bar and TensorBoard, one reading each
    assert [dict(step) for step in steps] == [shown if (n + 1) % LOOK == 0 else {} for n in range(12)]


def test_the_guard_reads_its_count_on_a_cpu_only_where_that_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = run(tmp_path, Waits(monkeypatch), guard=NonFiniteGuard())
    assert [dict(step) for n, step in enumerate(steps) if (n + 1) % LOOK] == 9 * [{"__int__": 1}]


def test_one_careless_reading_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = run(tmp_path, Waits(monkeypatch), careless=True)
    assert dict(steps[1]) == {"item": 1}
