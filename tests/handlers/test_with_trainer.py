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
"""The handlers together, in MONAI's way, on the real trainer."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from torch import Tensor, nn
from torch.utils.data import DataLoader

from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines import Cosine, PretrainingTrainer
from monai_lamps.handlers import (
    CheckpointHandler,
    HistoryHandler,
    PictureHandler,
    PreemptionHandler,
    ProgressHandler,
    RepresentationMonitor,
    ResumeHandler,
    TensorBoardMetrics,
    TermMeansHandler,
    ThroughputHandler,
    list_checkpoints,
)


class Samples(torch.utils.data.Dataset):
    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, index = key
        generator = torch.Generator().manual_seed(1000 * epoch + index)
        return {"image": torch.rand(1, 4, 4, generator=generator), "index": index}


class TinyMethod(nn.Module):
    name = "tiny"

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.2))
        self.latest: dict[str, Tensor] = {}

    def forward(self, batch: Mapping[str, Tensor], progress: Any) -> dict[str, Tensor]:
        loss = (self.layer(batch["image"]) - 1).square().mean()
        self.latest = {"raw": loss.detach()}
        return {"order" if progress.epoch % 2 else "context": loss}

    def after_step(self, progress: Any) -> None: ...

    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"raw": (self.layer(batch["image"]) - 1).square().mean()}

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(images)[:, None], self.layer(images)

    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"image": batch["image"][0]}


def build(folder: Path, kill_at: int | None = None) -> tuple[PretrainingTrainer, HistoryHandler]:
    torch.manual_seed(0)
    method = TinyMethod()
    optimizer = torch.optim.AdamW(method.parameters())
    history = HistoryHandler(folder)
    board = TensorBoardMetrics(folder / "tensorboard", iteration_log=2)
    validation = DataLoader(Samples(), batch_sampler=[[(9, 0), (9, 1), (9, 2)], [(9, 3), (9, 4)]])
    state = {"method": method, "optimizer": optimizer, "history": history}
    checkpoint = CheckpointHandler(folder / "checkpoints", state, {"method": "tiny"})
    preemption = PreemptionHandler(checkpoint)
    trainer = PretrainingTrainer(
        device="cpu",
        max_epochs=4,
        train_data_loader=DataLoader(Samples(), batch_sampler=ResumableBatchSampler(13, 3, total_epochs=4)),
        network=method,
        optimizer=optimizer,
        schedules={"lr": Cosine(0.01, 0.0)},
        train_handlers=[
            ResumeHandler(checkpoint),
            TermMeansHandler(),
            ThroughputHandler(),
            RepresentationMonitor(validation),
            PictureHandler(folder / "pictures", validation, tensorboard=board),
            board,
            history,
            ProgressHandler(bar=False),
            preemption,
            checkpoint,
        ],
    )

    @trainer.on(Events.ITERATION_COMPLETED)
    def stop(engine: Any) -> None:
        if engine.state.iteration == kill_at:
            os.kill(os.getpid(), signal.SIGTERM)

    return trainer, history


def same(left: HistoryHandler, right: HistoryHandler) -> bool:
    timed = {"images_per_second", "data_wait_share", "peak_memory_gb", "loss/total", "loss/order", "train/raw"}
    return [{k: v for k, v in row.items() if k not in timed} for row in left.rows] == [
        {k: v for k, v in row.items() if k not in timed} for row in right.rows
    ]


def test_a_run_killed_twice_ends_bit_for_bit_as_one_in_a_piece(tmp_path: Path) -> None:
    straight, expected = build(tmp_path / "straight")
    straight.run()
    for kill_at in (6, 8, None):  # in the middle of the second epoch, at its end, not at all
        trainer, history = build(tmp_path / "killed", kill_at)
        trainer.run()
        assert trainer.state.iteration == (kill_at or 16)
    for ours, theirs in zip(trainer.method.parameters(), straight.method.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert len(history.rows) == 4
    assert same(history, expected)
    assert "validation/raw" in history.names
    assert "collapse/effective_rank" in history.names
    assert [path.stem for path in list_checkpoints(tmp_path / "killed" / "checkpoints")] == [
        "step=000000016",
        "step=000000012",
    ]
    again, _ = build(tmp_path / "killed")
    again.run()
    assert again.state.iteration == 16
