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

import pytest
import torch
from monai.losses import DiceCELoss

from monai_lamps.networks import build_encoder
from monai_lamps.networks.segmenters import build_segmenter


def squares(count: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a bright square, and where the square is."""
    label = torch.zeros(count, 1, 64, 64)
    for index, (row, column) in enumerate(torch.randint(0, 64 - side, (count, 2)).tolist()):
        label[index, :, row : row + side, column : column + side] = 1
    return torch.randn(count, 1, 64, 64) + 2 * label, label


@pytest.mark.parametrize(("segmenter", "kwargs", "side"), [("encoder_unet", {}, 8), ("upernet", {"channels": 32}, 16)])
def test_a_small_structure_is_learned_within_a_few_steps(segmenter: str, kwargs: dict, side: int) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", base_channels=8, stride=16)
    net = build_segmenter(segmenter, encoder, 1, **kwargs)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    loss = DiceCELoss(sigmoid=True)
    for _ in range(60):
        optimizer.zero_grad()
        images, label = squares(8, side)
        loss(net(images), label).backward()
        optimizer.step()
    images, label = squares(16, side)
    with torch.no_grad():
        found = net.eval()(images) > 0
    dice = 2 * (found * label).sum() / (found.sum() + label.sum())
    assert dice > 0.85
