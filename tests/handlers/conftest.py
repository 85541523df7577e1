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

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from torch import Tensor, nn


class TinyMethod(nn.Module):
    """Four numbers in, three out; two objectives that take turns by epoch."""

    name = "tiny"

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.frozen = nn.Dropout(0.5).eval()

    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert not self.training
        assert not torch.is_grad_enabled()
        torch.rand(3)  # a careless method
        return {"mean_pixel": batch["image"].mean()}

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.layer(images)
        return mean[:, None], mean

    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert not self.training
        return {"views": torch.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8), "order map": torch.zeros(1, 4, 5)}


class TinyTrainer(Engine):
    """Ignite engine with the trainer's contract; the batch is a function of the step."""

    def __init__(self, epochs: int, length: int, objective: Callable[[int], str]) -> None:
        super().__init__(self.step)
        torch.manual_seed(0)
        self.method = TinyMethod()
        self.optimizer = torch.optim.AdamW(self.method.parameters(), lr=0.1, weight_decay=0.01)
        self.objective = objective
        self.losses: list[float] = []
        self.hook: Callable[[TinyTrainer], Any] = lambda _: None
        self.state.max_epochs, self.state.epoch_length, self.state.metrics = epochs, length, {}
        self.state.iteration = self.state.epoch = 0

    def step(self, engine: Engine, batch: Any) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(self.state.iteration)
        images = torch.rand(5, 4, generator=generator)
        self.method.train()
        self.method.frozen.eval()
        loss = self.method.layer(images).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.tolist())
        self.hook(self)
        name, value = self.objective(self.state.epoch), loss.detach()
        return {
            "loss": value,
            "terms": {name: value},
            "latest": {name: 2 * value, f"{name}_accuracy": torch.tensor(0.25)},
            "batch_size": 5,
            "index": torch.arange(5),
        }

    def go(self) -> TinyTrainer:
        self.run([None] * (self.state.epoch_length or 0), max_epochs=self.state.max_epochs)
        return self

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        return {"step": self.state.iteration}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.state.iteration = state["step"]
        self.state.epoch = state["step"] // self.state.epoch_length


@pytest.fixture
def trainer() -> Callable[..., TinyTrainer]:
    """Makes a trainer: ``trainer(epochs=2, length=4)``; odd epochs train "order", even ones "context"."""

    def make(
        epochs: int = 2, length: int = 4, objective: Callable[[int], str] = lambda e: "order" if e % 2 else "context"
    ) -> TinyTrainer:
        return TinyTrainer(epochs, length, objective)

    return make
