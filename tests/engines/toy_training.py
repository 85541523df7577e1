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

"""A method small enough to be trained hundreds of times, with everything that makes resuming hard."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.transforms import RandGaussianNoised
from torch import Tensor, nn

from monai_lamps.data.dataset import RadiographDataset
from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines import (
    Cosine,
    Curriculum,
    NonFiniteGuard,
    PerParameterClip,
    PretrainingTrainer,
    Progress,
    weight_decay_groups,
)

SAMPLES, BATCH, EPOCHS = 11, 4, 4
STEPS = SAMPLES // BATCH * EPOCHS


class ToyMethod(nn.Module):
    """Student with dropout, teacher that follows it, two objectives in turn."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.student = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Dropout(0.3), nn.GELU(), nn.Linear(6, 3))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.curriculum = Curriculum([{"match": 1.0}, {"match": 0.5, "size": 0.1}])
        self.momentum = Cosine(0.9, 1.0)
        self.latest: dict[str, Tensor] = {}

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        answer, target = self.student(batch["image"]), self.teacher(batch["image"])
        losses = {"match": (answer - target - 1).square().mean(), "size": answer.abs().mean()}
        self.latest = {"size": losses["size"].detach()}
        return {name: weight * losses[name] for name, weight in self.curriculum.weights(progress).items()}

    def after_step(self, progress: Progress) -> None:
        weight = 1 - self.momentum(progress)
        with torch.no_grad():
            for mine, other in zip(self.teacher.parameters(), self.student.parameters()):
                mine.lerp_(other, weight)


class Journal:
    """Handler that writes down what every step saw and gave."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.indices: list[list[int]] = []
        self.epochs: list[tuple[int, int]] = []

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note)

    def note(self, engine: Any) -> None:
        self.losses.append(float(engine.state.output["loss"]))
        self.indices.append(engine.state.output["index"].tolist())
        self.epochs.append((engine.state.iteration, engine.state.epoch))


def build(
    *,
    epochs: int = EPOCHS,
    workers: int = 0,
    handlers: tuple = (),
    method: nn.Module | None = None,
    rank: int = 0,
    world_size: int = 1,
    start_step: int = 0,
    **kwargs: Any,
) -> PretrainingTrainer:
    """A trainer of a toy method; its journal is `trainer.journal`."""
    data = [{"image": np.full((1, 2, 2), index / SAMPLES, np.float32)} for index in range(SAMPLES)]
    dataset = RadiographDataset(data, RandGaussianNoised("image", prob=1.0, std=0.5), seed=1)
    sampler = ResumableBatchSampler(SAMPLES, BATCH, 1, epochs, rank, world_size, start_step)
    loader = DataLoader(dataset, num_workers=workers, batch_sampler=sampler)
    method = ToyMethod() if method is None else method
    arguments: dict[str, Any] = {
        "device": "cpu",
        "max_epochs": epochs,
        "train_data_loader": loader,
        "network": method,
        "optimizer": torch.optim.AdamW(weight_decay_groups(method, 0.1), lr=1.0),
        "schedules": {"lr": Cosine(0.05, 1e-4, warmup_epochs=0.5), "weight_decay": Cosine(0.04, 0.4)},
        "clip": PerParameterClip(0.8),
        "guard": NonFiniteGuard(),
        "seed": 1,
    }
    journal = Journal()
    trainer = PretrainingTrainer(**{**arguments, **kwargs}, train_handlers=[journal, *handlers])
    trainer.journal = journal  # type: ignore[attr-defined]
    return trainer


def stop_after(trainer: PretrainingTrainer, step: int) -> PretrainingTrainer:
    """Let `run` end after a step as a signal handler would."""
    if step:
        trainer.add_event_handler(Events.ITERATION_COMPLETED(once=step), lambda engine: engine.terminate())
    else:
        trainer.add_event_handler(Events.STARTED, lambda engine: engine.terminate())
    return trainer


def save(trainer: PretrainingTrainer) -> bytes:
    """A checkpoint."""
    stream = io.BytesIO()
    contents = {"trainer": trainer, "method": trainer.method, "optimizer": trainer.optimizer}
    torch.save({name: item.state_dict() for name, item in contents.items()}, stream)
    return stream.getvalue()


def load(trainer: PretrainingTrainer, checkpoint: bytes) -> PretrainingTrainer:
    """Put a checkpoint into a trainer."""
    state = torch.load(io.BytesIO(checkpoint), weights_only=True)
    trainer.method.load_state_dict(state["method"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.load_state_dict(state["trainer"])
    return trainer


def assert_same(first: PretrainingTrainer, second: PretrainingTrainer) -> None:
    """Weights, teacher and optimizer agree bit for bit."""
    mine, other = first.method.state_dict(), second.method.state_dict()
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    states = [trainer.optimizer.state_dict() for trainer in (first, second)]
    assert states[0]["param_groups"] == states[1]["param_groups"]
    for key, values in states[0]["state"].items():
        assert all(torch.equal(value, states[1]["state"][key][name]) for name, value in values.items())
