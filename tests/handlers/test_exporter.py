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

import errno
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from torch import Tensor
from torch.utils.data import DataLoader

from monai_lamps.checkpoints import load_encoder, read_card
from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines import PretrainingTrainer
from monai_lamps.handlers import EncoderExporter
from monai_lamps.handlers import exporter as module
from monai_lamps.methods import Method
from monai_lamps.networks import Encoder, build_encoder
from monai_lamps.version import __version__


class Samples(torch.utils.data.Dataset):
    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        _, index = key
        return {"image": torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(index)), "index": index}


class Flat(Method):
    """Learns that every embedding is one."""

    name, mean, std = "flat", 0.4, 0.2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.student = build_encoder("resnet18", stride=8, base_channels=4)

    def forward(self, batch: Mapping[str, Tensor], progress: Any) -> dict[str, Tensor]:
        return {"flat": (self.student(self.normalize(batch["image"])) - 1).square().mean()}

    def after_step(self, progress: Any) -> None: ...

    @property
    def encoder(self) -> Encoder:
        return self.student

    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}


def trainer(exporter: EncoderExporter, epochs: int = 3) -> PretrainingTrainer:
    """Three steps an epoch."""
    method = Flat()
    return PretrainingTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=DataLoader(Samples(), batch_sampler=ResumableBatchSampler(6, 2, total_epochs=epochs)),
        network=method,
        optimizer=torch.optim.SGD(method.parameters(), lr=0.1),
        train_handlers=[exporter],
    )


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The step of every export."""
    seen: list[int] = []
    save = module.save_encoder

    def spy(path: Path, encoder: Encoder, card: Mapping[str, Any]) -> Path:
        seen.append(card["steps"])
        return save(path, encoder, card)

    monkeypatch.setattr(module, "save_encoder", spy)
    return seen


def test_the_exported_encoder_gives_the_trained_embeddings(tmp_path: Path) -> None:
    engine = trainer(EncoderExporter(tmp_path / "encoder.pt", 16))
    engine.run()
    images = torch.rand(2, 1, 16, 16)
    card = read_card(tmp_path / "encoder.pt")
    normalization = card["normalization"]
    encoder = load_encoder(tmp_path / "encoder.pt")
    with torch.no_grad():
        loaded = encoder((images - normalization["mean"]) / normalization["std"])
    assert torch.equal(loaded, engine.method.eval().embed(images)[1])
    start = Flat().student.state_dict()
    assert not torch.equal(encoder.state_dict()["norm.weight"], start["norm.weight"])


def test_the_card_tells_where_the_encoder_comes_from(tmp_path: Path) -> None:
    data = {"datalist": "datalist.json", "images": 6}
    engine = trainer(EncoderExporter(tmp_path / "encoder.pt", 16, data=data, seed=7))
    engine.run()
    card = read_card(tmp_path / "encoder.pt")
    assert card.pop("sha256")
    assert card == {
        "encoder": engine.method.student.config,
        "embed_dim": 32,
        "cell": 8,
        "method": "flat",
        "image_size": [16, 16],
        "normalization": {"mean": 0.4, "std": 0.2, "of": "images in [0, 1], 0 dark and 1 bright"},
        "preparation": {},
        "data": data,
        "epochs": 3,
        "steps": 9,
        "planned_epochs": 3,
        "seed": 7,
        "code_version": __version__,
    }


@pytest.mark.parametrize(("every", "expected"), [(1, [3, 6, 9]), (2, [6, 9]), (5, [9])])
def test_it_is_written_every_few_epochs_and_once_at_the_end(
    tmp_path: Path, writes: list[int], every: int, expected: list[int]
) -> None:
    trainer(EncoderExporter(tmp_path / "encoder.pt", 16, every_epochs=every)).run()
    assert writes == expected


def test_a_run_stopped_midway_leaves_its_encoder_with_the_epochs_that_it_completed(
    tmp_path: Path, writes: list[int]
) -> None:
    engine = trainer(EncoderExporter(tmp_path / "encoder.pt", 16, every_epochs=5))
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=4), lambda engine: engine.terminate())
    engine.run()
    assert writes == [4]
    card = read_card(tmp_path / "encoder.pt")
    assert (card["epochs"], card["steps"], card["planned_epochs"]) == (1, 4, 3)


def test_a_full_disk_is_logged_and_training_goes_on_to_the_next_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(EncoderExporter(tmp_path / "encoder.pt", 16))
    fsync = os.fsync

    def full(handle: int) -> None:
        if engine.state.iteration < 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.ERROR, "monai_lamps.handlers.exporter"):
        engine.run()
    text = f"the encoder could not be written to '{tmp_path}/encoder.pt' ([Errno 28] No space left on device); free"
    assert [record.getMessage().startswith(text) for record in caplog.records] == [True, True]
    assert read_card(tmp_path / "encoder.pt")["steps"] == 9


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    engine = trainer(EncoderExporter(tmp_path / "encoder.pt", 16), epochs=1)
    engine.state.rank = 1
    engine.run()
    assert os.listdir(tmp_path) == []


def test_an_interval_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every_epochs must be at least 1, got 0"):
        EncoderExporter(tmp_path / "encoder.pt", 16, every_epochs=0)
