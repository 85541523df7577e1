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

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ignite.engine import Engine
from PIL import Image
from torch import Tensor

from monai_lamps.handlers import EvidenceWriter
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder
from monai_lamps.tasks import Classification, EvidenceClassifier, LinearClassifier

SIDE = 32


def task(scale: float | None = None) -> Classification:
    """A classifier with random weights; its map exceeds 0.5 at 2 % of the pixels of ``lit``, unless it has a scale."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder("resnet18", stride=8, base_channels=4)
        decoder = TokenDecoder(encoder.embed_dim, 8, width=16, depth=1, num_heads=2)
        network = EvidenceNetwork(encoder, decoder, sigma=1.0).eval()
        image = (lit()[None] - 0.5) / 0.25
        contrast = network.contrast(image, network.restore(image).detach())
        network.fit_scale(contrast if scale is None else torch.tensor([scale]), 98)
        return Classification(EvidenceClassifier(network, 2), ["a", "b"], mean=0.5, std=0.25).eval()


def lit(side: int = SIDE) -> Tensor:
    """An image that is grey but for a bright square."""
    image = torch.full((1, side, side), 0.5)
    image[:, side // 4 : side // 2, side // 2 : 3 * side // 4] = 1.0
    return image


def run(writer: EvidenceWriter, images: Tensor, sizes: list[tuple[int, int]]) -> None:
    def step(engine: Engine, batch: Any) -> dict[str, Tensor]:
        engine.state.batch = {"size": torch.tensor(sizes)}
        return {"image": images, "pred": torch.tensor([[0.2, 0.7]]).expand(len(images), -1)}

    engine = Engine(step)
    writer.attach(engine)
    engine.run([0])


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "boxes.csv", newline="") as file:
        return list(csv.DictReader(file))


def items(folder: Path, count: int = 1) -> list[dict[str, Any]]:
    return [{"image": str(folder / f"{number}.png")} for number in range(count)]


@torch.no_grad()
def test_the_map_has_the_size_of_the_file(tmp_path: Path) -> None:
    judge, images = task(), torch.stack([lit(), lit().flip(-1)])
    run(EvidenceWriter(tmp_path / "out", items(tmp_path, 2), judge, SIDE), images, [(64, 96), (32, 32)])
    maps = judge.network.evidence(judge.normalize(images)).pixel_map
    for number, size in enumerate([(64, 96), (32, 32)]):
        expected = F.interpolate(maps[number : number + 1], size, mode="bilinear")[0, 0]
        written = np.asarray(Image.open(tmp_path / "out" / "evidence" / f"{number}.png"))
        assert written.shape == size
        assert np.abs(written - 255 * expected.numpy()).max() <= 0.51
    overlay = np.asarray(Image.open(tmp_path / "out" / "overlays" / "0.png"))
    assert overlay.shape == (2 * 64 + 14, 2 * 2 * 96 + 2, 3)


@torch.no_grad()
def test_boxes_lie_around_the_evidence_and_say_what_it_adds_to_each_logit(tmp_path: Path) -> None:
    judge, images = task(), lit()[None]
    run(EvidenceWriter(tmp_path, items(tmp_path), judge, SIDE, boxes=1), images, [(64, 96)])
    (row,) = rows_of(tmp_path)
    found = judge.network.evidence(judge.normalize(images))
    x, y, width, height = (int(row[key]) for key in ("x", "y", "width", "height"))
    inside = torch.zeros(64, 96, dtype=torch.bool)
    inside[y : y + height, x : x + width] = True
    peak = F.interpolate(found.pixel_map, (64, 96), mode="bilinear")[0, 0].flatten().argmax()
    assert inside.flatten()[peak]
    assert 0.5 <= float(row["score"]) <= 1
    small = inside[::2, ::3]  # back to the px of the map
    assert not small.all()
    added = sum(judge.network.contributions(found).values())[0].reshape(2, 4, 4)
    pixels = added.repeat_interleave(8, 1).repeat_interleave(8, 2) / 64
    region = small & (found.pixel_map[0, 0] >= 0.5)
    for number, name in enumerate("ab"):
        assert float(row[f"logit/{name}"]) == pytest.approx(float((pixels[number] * region).sum()), abs=1e-3)


def test_an_image_without_evidence_has_no_row(tmp_path: Path) -> None:
    run(EvidenceWriter(tmp_path, items(tmp_path), task(scale=1e4), SIDE), lit()[None], [(32, 32)])
    assert rows_of(tmp_path) == []
    assert (tmp_path / "boxes.csv").read_text().strip() == "image,x,y,width,height,score,logit/a,logit/b"
    assert not np.asarray(Image.open(tmp_path / "evidence" / "0.png")).any()


def test_a_second_run_starts_anew_and_larger_images_are_reduced(tmp_path: Path) -> None:
    writer = EvidenceWriter(tmp_path, items(tmp_path), task(), SIDE, boxes=1)
    run(writer, lit()[None], [(32, 32)])
    first = rows_of(tmp_path)
    run(writer, lit(2 * SIDE)[None], [(32, 32)])
    assert rows_of(tmp_path) == first
    assert len(first) == 1


def test_overlays_have_at_most_512_px(tmp_path: Path) -> None:
    run(EvidenceWriter(tmp_path, items(tmp_path), task(), SIDE), lit()[None], [(64, 1024)])
    assert Image.open(tmp_path / "overlays" / "0.png").size == (2 * 512 + 2, 32 + 14)


@pytest.mark.parametrize("arguments", [{"threshold": 0.0}, {"threshold": 1.1}, {"boxes": -1}])
def test_ill_arguments(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"threshold got .* and boxes .*, expected a threshold above 0"):
        EvidenceWriter(tmp_path, [], task(), SIDE, **arguments)


def test_a_linear_classifier_has_no_evidence(tmp_path: Path) -> None:
    linear = Classification(LinearClassifier(build_encoder("resnet18", stride=8, base_channels=4), 1), ["a"])
    with pytest.raises(TypeError, match="for an EvidenceClassifier, got LinearClassifier; train one with --head evid"):
        EvidenceWriter(tmp_path, [], linear, SIDE)
