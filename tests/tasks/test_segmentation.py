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

from typing import Any

import pytest
import torch
from monai.losses import FocalLoss
from torch import Tensor, nn
from toy_task import STRUCTURES, TinySegmenter, encoder, items, segmentation

from monai_lamps.engines import Progress
from monai_lamps.metrics import SegmentationFigures
from monai_lamps.tasks import Segmentation

START = Progress(0, 0.0, 1, 1)


def collated(count: int = 3) -> dict[str, Any]:
    return {key: torch.stack([item[key] for item in items(count)]) for key in ("image", "label", "annotated")}


def test_terms_are_means_over_the_annotated_structures_of_each_image() -> None:
    task, batch = segmentation().eval(), collated()
    p = task.predict(batch["image"])
    y, told = batch["label"], batch["annotated"]
    overlap, size = (p * y).sum((2, 3)), p.sum((2, 3)) + y.sum((2, 3))
    dice = 1 - (2 * overlap + 1e-5) / (size + 1e-5)
    bce = -(y * p.log() + (1 - y) * (1 - p).log()).mean((2, 3))
    terms = task.readings(batch)
    assert told.sum() == 5
    assert terms["dice"].item() == pytest.approx(dice[told].mean().item(), rel=1e-4)
    assert terms["bce"].item() == pytest.approx(bce[told].mean().item(), rel=1e-4)


def test_a_structure_without_annotation_gives_no_gradient_and_all_count_by_default() -> None:
    task, batch = segmentation().eval(), collated()
    batch["annotated"] = torch.tensor([[True, False]] * 3)
    sum(task(batch, START).values()).backward()
    assert task.network.head.bias.grad[0] != 0
    assert task.network.head.bias.grad[1] == 0
    everything = {**batch, "annotated": torch.ones(3, 2, dtype=torch.bool)}
    del batch["annotated"]
    assert task.readings(batch) == task.readings(everything)


def test_other_losses_of_monai_take_their_place() -> None:
    task, batch = segmentation(losses={"focal": FocalLoss(reduction="none")}), collated()
    (term,) = task(batch, START).values()
    assert list(task.latest) == ["focal"]
    assert term > 0
    reducing = segmentation(losses={"focal": FocalLoss()})
    with pytest.raises(ValueError, match=r"the loss 'focal' gives \(\), expected \(B, K, ...\).*reduction='none'"):
        reducing(batch, START)


def test_it_learns_to_find_the_square() -> None:
    task, batch = segmentation(), collated(6)
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.02)
    for _ in range(60):
        loss = sum(task(batch, START).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    task.eval()
    figures = task.figures.summary(task.figures.rows(task.predict(batch["image"]), batch))
    assert figures["dice/square"] > 0.95


def test_shapes_and_names_that_do_not_fit_are_named() -> None:
    task, batch = segmentation(), collated()
    batch["label"] = batch["label"][..., :8]
    with pytest.raises(ValueError, match=r"gives \(3, 2, 16, 16\), the masks are \(3, 2, 16, 8\); both must be \(B, 2"):
        task(batch, START)
    with pytest.raises(ValueError, match=r"the figures are of \['heart'\], expected \['square', 'corner'\]"):
        Segmentation(TinySegmenter(encoder(), 2), STRUCTURES, figures=SegmentationFigures(["heart"]))


class Corners(nn.Module):
    """Says that the square is where the image is bright, so that its overlap is known."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images - 0.5, images - 0.5], dim=1)


def test_the_overlay_shows_true_outlines_in_green_and_predicted_ones_in_red() -> None:
    task = Segmentation(Corners(), STRUCTURES, mean=0.0, std=1.0)
    batch = {"image": torch.zeros(1, 1, 32, 32), "label": torch.zeros(1, 2, 32, 32)}
    batch["image"][..., 4:12, 4:12] = 1.0
    batch["label"][:, 0, 20:28, 4:12] = 1.0
    picture = task.pictures(batch)["overlay"]
    assert picture[:, 4, 4:12].T.tolist() == [[1.0, 0.0, 0.0]] * 8
    assert picture[:, 27, 4:12].T.tolist() == [[0.0, 1.0, 0.0]] * 8
    assert picture[:, 8, 8].tolist() == [1.0, 1.0, 1.0]
    batch["label"][:, 1] = (batch["image"] > 0.5)[:, 0]
    assert task.pictures(batch)["overlay"][:, 4, 4].tolist() == [1.0, 1.0, 0.0]


def test_best_median_and_worst_cases_of_each_structure_are_drawn_and_absent_ones_are_not() -> None:
    task = Segmentation(Corners(), STRUCTURES, mean=0.0, std=1.0)
    batch = {"image": torch.zeros(4, 1, 32, 32), "label": torch.zeros(4, 2, 32, 32)}
    batch["label"][:, 0, 4:20, 4:20] = 1.0
    for case, side in enumerate((4, 16, 12, 8)):
        batch["image"][case, 0, 4 : 4 + side, 4 : 4 + side] = 1.0
    rows = task.figures.rows(task.predict(batch["image"]), batch)
    asked: list[list[int]] = []

    def look(positions: Any) -> dict[str, Tensor]:
        asked.append(list(positions))
        return {key: value[positions] for key, value in batch.items()}

    pictures = task.case_pictures(rows, look)
    assert list(pictures) == ["overlay/square"]
    assert asked == [[1, 2, 0]]
    assert pictures["overlay/square"].shape == (3, 5 * 32 + 14, 3 * 5 * 32 + 2 * 2)


def test_without_an_overlap_there_are_no_cases_to_choose() -> None:
    figures = SegmentationFigures(STRUCTURES, overlaps={})
    task, batch = segmentation(figures=figures), collated()
    rows = figures.rows(task.predict(batch["image"]), batch)
    assert task.case_pictures(rows, lambda _: batch) == {}
