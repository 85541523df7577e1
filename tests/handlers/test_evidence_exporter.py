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

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from monai_lamps.checkpoints import load_evidence_network
from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines import PretrainingTrainer
from monai_lamps.handlers import EvidenceExporter
from monai_lamps.methods import RadLAS
from monai_lamps.methods.radlas import radlas_curriculum
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder


class Samples(torch.utils.data.Dataset):
    def __getitem__(self, key: tuple[int, int] | int) -> dict[str, Any]:
        index = key[1] if isinstance(key, tuple) else key
        healthy = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(index))
        lesion = torch.zeros(1, 16, 16)
        lesion[:, 2:6, 2:6] = 0.5
        return {"image": healthy + 0.2 * lesion, "healthy": healthy, "lesion": lesion, "seed": index}

    def __len__(self) -> int:
        return 6


VALIDATION = DataLoader(Samples(), batch_size=2)


def _method() -> RadLAS:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", stride=8, base_channels=4)
    network = EvidenceNetwork(encoder, TokenDecoder(32, 8, 12, 1, 2, position_cells=2))
    return RadLAS(network, radlas_curriculum(3), hidden=8, out=4, ssim_weight=0.0)


def _train(exporter: EvidenceExporter | None, epochs: int = 3) -> RadLAS:
    method = _method()
    trainer = PretrainingTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=DataLoader(Samples(), batch_sampler=ResumableBatchSampler(6, 2, total_epochs=epochs)),
        network=method,
        optimizer=torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.01),
        train_handlers=[exporter] if exporter else [],
    )
    trainer.run()
    return method


def test_the_file_has_the_scale_of_healthy_validation_images(tmp_path: Path) -> None:
    exporter = EvidenceExporter(path=tmp_path / "evidence.pt", image_size=16, data_loader=VALIDATION, percentile=90)
    method = _train(exporter)
    network, card = load_evidence_network(tmp_path / "evidence.pt")
    assert card["method"] == "radlas"
    assert card["steps"] == 9
    healthy = torch.cat([batch["healthy"] for batch in VALIDATION])
    images = (healthy - card["normalization"]["mean"]) / card["normalization"]["std"]
    with torch.no_grad():
        found = network.evidence(images)
    assert float((found.pixel_map > 0.5).float().mean()) == pytest.approx(0.1, abs=0.005)
    for name, value in method.evidence_network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


def test_training_goes_on_as_though_nobody_had_looked(tmp_path: Path) -> None:
    watched = _train(EvidenceExporter(path=tmp_path / "evidence.pt", image_size=16, data_loader=VALIDATION))
    alone = _train(None)
    other = alone.state_dict()
    for name, value in watched.state_dict().items():
        assert torch.equal(value, other[name]) != (name == "teacher.module.evidence.scale"), name
    assert watched.training == alone.training
    assert watched.encoder.training == alone.encoder.training


def test_without_validation_images_the_scale_is_that_of_the_training(tmp_path: Path) -> None:
    method = _train(EvidenceExporter(path=tmp_path / "evidence.pt", image_size=16))
    network, _ = load_evidence_network(tmp_path / "evidence.pt")
    assert float(network.scale) == float(method.student.evidence.scale) != 1


def test_it_looks_at_no_more_batches_than_it_was_asked_to(tmp_path: Path) -> None:
    class Counting:
        seen = 0

        def __iter__(self) -> Any:
            for batch in VALIDATION:
                self.seen += 1
                yield batch

    loader = Counting()
    exporter = EvidenceExporter(path=tmp_path / "evidence.pt", image_size=16, data_loader=loader, images=3)
    exporter.fit(_method())
    assert loader.seen == 2


@pytest.mark.parametrize(("every", "writes"), [(1, 3), (2, 2), (5, 1)])
def test_it_writes_at_its_epochs_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, writes: int
) -> None:
    steps: list[int] = []
    monkeypatch.setattr(EvidenceExporter, "_save", lambda self, method, card: steps.append(card["steps"]))
    _train(EvidenceExporter(path=tmp_path / "evidence.pt", image_size=16, every_epochs=every))
    assert len(steps) == len(set(steps)) == writes
    assert steps[-1] == 9


@pytest.mark.parametrize(("images", "percentile"), [(0, 99.5), (8, 0.0), (8, 100.0)])
def test_numbers_out_of_range_are_refused(images: int, percentile: float) -> None:
    with pytest.raises(ValueError, match=rf"images >= 1 and percentile in \(0, 100\), got {images} and {percentile}"):
        EvidenceExporter(path="evidence.pt", image_size=16, images=images, percentile=percentile)
