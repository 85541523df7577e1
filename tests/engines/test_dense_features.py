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
import torch.nn.functional as F
from torch import nn

from monai_lamps.engines import PatchMaps, TokenMaps
from monai_lamps.networks import Encoder


class TwoLevels(Encoder):
    """Means over 2 and 4 px, with their squares on the coarse level."""

    def __init__(self, spatial_dims: int = 2) -> None:
        super().__init__(spatial_dims=spatial_dims, in_channels=1, strides=(2, 4), channels=(1, 2), config={})
        self.drop = nn.Dropout(0.5)

    @classmethod
    def levels(cls, name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (2, 4), (1, 2)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        pool = F.avg_pool2d if self.spatial_dims == 2 else F.avg_pool3d
        fine, coarse = pool(self.drop(x), 2), pool(x, 4)
        return [fine, torch.cat([coarse, coarse**2], 1)]


class Middle(nn.Module):
    """The pixel in the middle of a patch of odd side, and its mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle = x[(slice(None), 0, *(side // 2 for side in x.shape[2:]))]
        return torch.stack([middle, x.flatten(1).mean(1)], 1)


@pytest.mark.parametrize("sides", [(8, 12), (4, 8, 12)])
def test_tokens_lie_where_they_come_from(sides: tuple[int, ...]) -> None:
    encoder, images = TwoLevels(len(sides)), torch.rand(3, 1, *sides)
    maps = TokenMaps(encoder)(images)
    assert maps.shape == (3, 2, *(side // 4 for side in sides))
    assert torch.allclose(maps.flatten(2).transpose(1, 2), encoder.embed(images)[0])


def test_levels_are_enlarged_to_the_finest_and_weigh_the_same() -> None:
    encoder, images = TwoLevels(), torch.rand(2, 1, 8, 12)
    maps = TokenMaps(encoder, (0, -1))(images)
    coarse = F.normalize(TokenMaps(encoder)(images), dim=1)
    assert maps.shape == (2, 3, 4, 6)
    assert torch.allclose(maps[:, :1], torch.ones(2, 1, 4, 6))
    assert torch.allclose(maps[:, 1:], F.interpolate(coarse, size=(4, 6), mode="bilinear"), atol=1e-6)


def test_the_network_is_in_evaluation_mode_during_the_call_only() -> None:
    encoder, images = TwoLevels().train(), torch.rand(1, 1, 8, 8)
    fine = TokenMaps(encoder, (0,))
    assert torch.allclose(fine(images), F.avg_pool2d(images, 2))
    assert not TokenMaps(encoder)(images).requires_grad
    assert encoder.training
    PatchMaps(encoder, 8, 8)(images)
    assert encoder.training


def test_patches_lie_about_the_places_of_the_grid() -> None:
    images = torch.rand(2, 1, 9, 12)
    maps = PatchMaps(Middle(), patch=5, stride=3, batch=7)(images)
    assert maps.shape == (2, 2, 3, 4)
    assert torch.equal(maps[:, 0], images[:, 0, 1::3, 1::3])
    assert torch.allclose(maps[:, 1], F.avg_pool2d(F.pad(images, [1] * 4, mode="reflect"), 5, 3)[:, 0], atol=1e-6)


def test_patches_without_overlap_are_the_image_and_can_be_resized() -> None:
    images = torch.rand(1, 1, 6, 6)
    assert torch.allclose(PatchMaps(Middle(), 3, 3)(images)[:, 1], F.avg_pool2d(images, 3)[:, 0], atol=1e-6)
    seen: list[tuple[int, ...]] = []

    class Sizes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(x.shape))
            return x.flatten(1).mean(1, keepdim=True)

    maps = PatchMaps(Sizes(), 4, 2, size=2, batch=4)(torch.ones(1, 1, 6, 6))
    assert seen == [(4, 1, 2, 2), (4, 1, 2, 2), (1, 1, 2, 2)]
    assert torch.allclose(maps, torch.ones(1, 1, 3, 3))


def test_patches_of_volumes() -> None:
    images = torch.rand(1, 1, 6, 3, 9)
    assert torch.equal(PatchMaps(Middle(), 5, 3)(images)[:, 0], images[:, 0, 1::3, 1::3, 1::3])


def test_wrong_arguments_are_refused() -> None:
    for levels in ((), (2,), (-3,)):
        with pytest.raises(
            ValueError, match="levels must be at least one of -2 to 1 for this encoder of 2 levels, got"
        ):
            TokenMaps(TwoLevels(), levels)
    with pytest.raises(ValueError, match="multiples of the encoder's stride 4"):
        TokenMaps(TwoLevels())(torch.rand(1, 1, 8, 9))
    for patch, stride, size in ((0, 1, None), (4, 0, None), (4, 2, 0)):
        with pytest.raises(ValueError, match="patch, stride, size and batch must be positive, got"):
            PatchMaps(Middle(), patch, stride, size)
    for patch, stride, mend in ((2, 4, 4), (7, 4, 6)):
        with pytest.raises(
            ValueError, match=f"by an even number of pixels.* got {patch} and {stride}; e.g. patch={mend}"
        ):
            PatchMaps(Middle(), patch, stride)
    for sides in ((9, 10), (3, 3)):
        with pytest.raises(ValueError, match=r"multiples of stride 3 and longer than 4 px, got"):
            PatchMaps(Middle(), 11, 3)(torch.rand(1, 1, *sides))
