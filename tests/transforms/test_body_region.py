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

import numpy as np
import pytest
import torch

from monai_lamps.data.phantom import ThoraxPhantom
from monai_lamps.transforms import body_region, fractal_noise, lucent_part


def ball(shape: tuple[int, ...], radius: float) -> torch.Tensor:
    """A ball about the centre, bool."""
    lines = [torch.arange(side) - (side - 1) / 2 for side in shape]
    return torch.stack(torch.meshgrid(*lines, indexing="ij")).square().sum(0) <= radius**2


def share_inside(mask: torch.Tensor, of: torch.Tensor) -> float:
    return float((mask & of).sum() / of.sum())


@pytest.mark.parametrize("index", range(3))
def test_the_body_of_a_phantom_holds_its_lungs_and_the_lucent_part_is_mostly_lung(index: int) -> None:
    item = ThoraxPhantom(length=3, size=128, annotations=True)[index]
    names = ThoraxPhantom.structures
    lungs = sum(item["masks"][number] for number, name in enumerate(names) if "lung" in name) > 0
    body = body_region(item["image"])
    lucent = lucent_part(item["image"], body)
    assert share_inside(body, lungs) > 0.99
    assert share_inside(lungs, lucent) > 0.6
    assert share_inside(lucent, lungs) > 0.4
    assert not (lucent & ~body).any()


@pytest.mark.parametrize("shape", [(96, 120), (32, 40, 36)])
def test_air_and_letters_are_left_out_and_dark_parts_inside_are_kept(shape: tuple[int, ...]) -> None:
    radius = 0.4 * min(shape)
    body, cavity = ball(shape, radius), ball(shape, radius / 3)
    image = torch.where(body, 0.8, 0.02)
    image[cavity] = 0.05
    letter = tuple(slice(2, 5) for _ in shape)
    image[letter] = 1.0
    found = body_region(image[None])
    assert share_inside(found, body) > 0.97
    assert share_inside(body, found) > 0.97
    assert share_inside(found, cavity) == 1
    assert not found[letter].any()
    lucent = lucent_part(image[None], body)
    assert share_inside(cavity, lucent) > 0.9
    assert share_inside(lucent, cavity) > 0.5


def test_collimated_borders_and_a_dark_plate_are_both_left_out() -> None:
    image, hand = torch.zeros(96, 96), ball((96, 96), 20)
    image[10:-10, 10:-10] = 0.2
    image[hand] = 0.9
    found = body_region(image[None])
    assert share_inside(found, hand) > 0.95
    assert share_inside(hand, found) > 0.9


def test_a_dark_lung_that_touches_the_border_of_a_crop_stays() -> None:
    random = np.random.RandomState(0)
    image = 0.25 + 0.05 * fractal_noise((96, 96), 4, random)
    image[:, 60:] = 0.8
    assert body_region(image.clamp(0, 1)[None]).all()


def test_the_region_has_the_size_of_the_image_and_the_channels_are_averaged() -> None:
    image = torch.where(ball((224, 300), 90), 0.8, 0.0)
    found = body_region(image[None])
    assert found.shape == (224, 300)
    assert found.dtype == torch.bool
    assert torch.equal(found, body_region(torch.stack([image, image])))
    assert torch.equal(found, body_region(image[None].numpy()))


def test_where_nothing_can_be_told_apart_everything_is_body() -> None:
    assert body_region(torch.full((1, 20, 20), 0.5)).all()
    region = ball((20, 20), 6)
    assert torch.equal(lucent_part(torch.full((1, 20, 20), 0.5), region), region)
    assert torch.equal(lucent_part(torch.rand(1, 20, 20), torch.zeros(20, 20)), torch.zeros(20, 20, dtype=torch.bool))


def test_a_region_too_slim_for_an_inner_part_is_lucent_itself() -> None:
    region = torch.zeros(40, 40, dtype=torch.bool)
    region[20] = True
    assert torch.equal(lucent_part(torch.rand(1, 40, 40), region), region)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"channel-first without batch.*got \(8, 8\)"):
        body_region(torch.zeros(8, 8))
    with pytest.raises(ValueError, match=r"region must be \(8, 8\), as the image, got \(8, 9\)"):
        lucent_part(torch.zeros(1, 8, 8), torch.zeros(8, 9))


def test_a_white_collimator_and_the_air_it_encloses_are_left_out() -> None:
    image, chest = torch.ones(96, 96), ball((96, 96), 28)
    image[10:-10, 10:-10] = 0.02
    image[chest] = 0.6
    found = body_region(image[None])
    assert share_inside(found, chest) > 0.95
    assert share_inside(chest, found) > 0.9
