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

import pytest
import torch

from monai_lamps.metrics.anatomy import MaskTemplate, MaskTransfer, copy_masks, mask_transfer, transfer_masks

SIZE, GRID = (48, 40), (12, 10)
NAMES = ["heart", "lung"]


def patient(row: int, column: int) -> MaskTemplate:
    """Two organs that lie (row, column) px off; the features tell organ from organ and from the rest."""
    masks = torch.zeros(2, *SIZE)
    masks[0, 8 + row : 24 + row, 8 + column : 20 + column] = 1
    masks[1, 32 + row : 40 + row, 8 + column : 32 + column] = 1
    cells = torch.nn.functional.avg_pool2d(masks[None], 4)[0]
    return MaskTemplate(torch.cat([cells, 1 - cells.sum(0, keepdim=True)]), masks)


HERE, THERE = patient(0, 0), patient(4, 8)


def test_a_perfect_encoder_carries_organs_that_a_copy_misses() -> None:
    figures = mask_transfer([HERE], THERE.features, THERE.masks, NAMES)
    assert figures["dice/heart"] > 0.9
    assert figures["dice"] == pytest.approx((figures["dice/heart"] + figures["dice/lung"]) / 2)
    overlap = 2 * 12 * 4 / (2 * 16 * 12)
    assert figures["copied/heart"] == pytest.approx(overlap)
    assert figures["copied"] == pytest.approx((overlap + 2 * 4 * 16 / (2 * 8 * 24)) / 2)


def test_the_templates_own_masks_come_back() -> None:
    features = torch.randn(64, *GRID, generator=torch.Generator().manual_seed(0))
    assert mask_transfer([MaskTemplate(features, HERE.masks)], features, HERE.masks, NAMES, 1)["dice"] > 0.95


def test_constant_features_say_the_same_everywhere() -> None:
    ones = torch.ones(3, *GRID)
    carried = transfer_masks([MaskTemplate(ones, HERE.masks)], ones, SIZE, neighbours=120)
    assert torch.allclose(carried, HERE.masks.mean((1, 2)).view(2, 1, 1).expand_as(carried), atol=1e-4)


def test_labels_are_weighted_by_the_softmax_of_the_nearest_cosines() -> None:
    angle = torch.tensor([[0.2, 0.7, 1.3]])  # of the three annotated cells; the asked cell lies at 0
    template = MaskTemplate(torch.stack([angle.cos(), angle.sin()]), torch.tensor([[[0.0, 1.0, 1.0]]]))
    asked = torch.tensor([[[1.0]], [[0.0]]])
    first, second, _ = angle[0].cos().tolist()
    expected = math.exp(second / 0.5) / (math.exp(first / 0.5) + math.exp(second / 0.5))
    carried = transfer_masks([template], asked, (1, 1), neighbours=2, temperature=0.5)
    assert float(carried) == pytest.approx(expected, abs=1e-5)
    assert float(transfer_masks([template], asked, (1, 1), neighbours=1)) == 0


def test_the_nearest_cells_of_all_templates_count() -> None:
    noise = MaskTemplate(torch.randn(3, 7, 9), torch.zeros(2, 28, 36))
    alone = transfer_masks([HERE], THERE.features, SIZE, neighbours=1)
    assert torch.allclose(transfer_masks([noise, HERE], THERE.features, SIZE, neighbours=1), alone, atol=1e-5)
    assert torch.allclose(copy_masks([HERE, HERE], SIZE), HERE.masks)


def test_an_organ_that_is_not_there_is_left_out() -> None:
    masks = THERE.masks.clone()
    masks[0] = 0
    figures = mask_transfer([HERE], THERE.features, masks, NAMES)
    assert math.isnan(figures["dice/heart"])
    assert figures["dice"] == figures["dice/lung"]


def test_it_works_in_three_dimensions() -> None:
    features = torch.randn(64, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(1, 6, 8, 10)
    masks[0, :4, 2:6, 2:8] = 1
    assert mask_transfer([MaskTemplate(features, masks)], features, masks, ["heart"], 1)["dice"] > 0.8


def test_the_metric_is_the_mean_over_patients() -> None:
    metric = MaskTransfer(NAMES, neighbours=3)
    first = metric([HERE], THERE.features, THERE.masks, patient="a")
    second = metric([THERE], HERE.features, HERE.masks, patient="b")
    assert metric.aggregate()["dice/lung"] == pytest.approx((first["dice/lung"] + second["dice/lung"]) / 2)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 annotated image, got none"):
        transfer_masks([], THERE.features, SIZE)
    with pytest.raises(ValueError, match=r"the same structures, got \[1, 2\] masks"):
        copy_masks([HERE, MaskTemplate(HERE.features, HERE.masks[:1])], SIZE)
    for neighbours, temperature in ((0, 0.1), (5, 0.0)):
        with pytest.raises(ValueError, match="neighbours must be at least 1 and temperature above 0, got"):
            transfer_masks([HERE], THERE.features, SIZE, neighbours, temperature)
    with pytest.raises(ValueError, match="a template has 3 channels of features, the image 4; use one encoder"):
        transfer_masks([HERE], torch.rand(4, *GRID), SIZE)
    with pytest.raises(ValueError, match=r"masks must both be \(1, ...\) for the structures \['heart'\], got"):
        mask_transfer([HERE], THERE.features, THERE.masks, ["heart"])
