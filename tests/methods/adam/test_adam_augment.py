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

from monai_lamps.methods.adam import AdamAugment

STILL = {"brightness": 0.0, "contrast": 0.0, "rotation": 0.0, "jitter_prob": 0.0, "blur_prob": 0.0}
KEYS = torch.arange(8) * 1001 + 7


def _images(*sides: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(8, 1, *sides, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sides", [(32, 32), (16, 16, 16)])
def test_images_stay_in_range_and_depend_on_their_key_alone(sides: tuple[int, ...]) -> None:
    augment, images = AdamAugment(sides[0]), _images(*sides)
    augmented = augment(images, KEYS)
    assert augmented.shape == images.shape
    assert 0 <= augmented.min() < augmented.max() <= 1
    torch.testing.assert_close(augment(images[3:], KEYS[3:]), augmented[3:])
    assert not torch.equal(augment(images, KEYS + 1), augmented)


def test_without_any_step_images_stay_as_they_are() -> None:
    images = _images(32, 32)
    torch.testing.assert_close(AdamAugment(32, **STILL)(images, KEYS), images, atol=2e-5, rtol=0)


def test_brightness_multiplies_and_contrast_spreads_about_the_mean() -> None:
    images = 0.4 + 0.2 * _images(32, 32)  # far from the ends, so that nothing is clipped
    brighter = AdamAugment(32, **{**STILL, "brightness": 0.3, "jitter_prob": 1.0})(images, KEYS)
    factor = brighter / images
    spread = factor.flatten(1)
    torch.testing.assert_close(spread.amin(1), spread.amax(1), atol=1e-3, rtol=0)
    assert 0.7 <= factor.min() < 0.9 < 1.1 < factor.max() <= 1.3
    contrasted = AdamAugment(32, **{**STILL, "contrast": 0.3, "jitter_prob": 1.0})(images, KEYS)
    torch.testing.assert_close(contrasted.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-4, rtol=0)
    ratio = contrasted.flatten(1).std(1) / images.flatten(1).std(1)
    assert 0.7 <= ratio.min() < 0.9 < 1.1 < ratio.max() <= 1.3


def test_a_rotation_is_rigid_and_within_its_angle() -> None:
    size, radius = 65, 16
    image = torch.zeros(1, 1, size, size)
    image[..., 32 - radius - 2 : 32 - radius + 3, 30:35] = 1  # a blot above the centre
    keys = torch.arange(64) * 17 + 3
    turned = AdamAugment(size, **{**STILL, "rotation": 30.0})(image.expand(64, -1, -1, -1), keys)
    place = torch.arange(size) - 32.0
    mass = turned.sum((1, 2, 3))
    row, column = (turned.sum((1, axis)) @ place / mass for axis in (3, 2))
    torch.testing.assert_close(row.hypot(column), torch.full((64,), float(radius)), atol=0.3, rtol=0)
    angle = torch.rad2deg(torch.atan2(column, -row))
    assert angle.abs().max() < 30.5
    assert angle.min() < -22
    assert angle.max() > 22


def test_a_rotation_of_a_volume_keeps_distances_from_the_centre() -> None:
    volume = torch.zeros(1, 1, 33, 33, 33)
    volume[..., 15:18, 15:18, 25:28] = 1
    turned = AdamAugment(33, **{**STILL, "rotation": 30.0})(volume.expand(8, -1, -1, -1, -1), KEYS)
    place = torch.arange(33) - 16.0
    mass = turned.sum((1, 2, 3, 4))
    centre = torch.stack([turned.sum([d for d in (1, 2, 3, 4) if d != axis]) @ place / mass for axis in (2, 3, 4)], 1)
    torch.testing.assert_close(centre.norm(dim=1), torch.full((8,), 10.0), atol=0.3, rtol=0)
    assert centre[:, :2].abs().amax(0).min() > 1  # both other axes take part
    assert centre[:, 2].min() > 10 * 0.86  # cos 30 degrees


def test_half_of_the_images_are_blurred() -> None:
    images, keys = _images(64, 64).repeat(8, 1, 1, 1), torch.arange(64) * 31
    blurred = AdamAugment(64, **{**STILL, "blur_prob": 0.5})(images, keys)
    rougher = (images.flatten(1).std(1) - blurred.flatten(1).std(1)) > 0.01
    assert 0.3 < rougher.float().mean() < 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be at least 1 px and rotation >= 0, got 0 and 30.0"),
        ({"rotation": -1}, "rotation >= 0, got 32 and -1"),
        ({"brightness": 1.5}, r"brightness must lie in \[0, 1\], got 1.5"),
        ({"contrast": -0.1}, r"contrast must lie in \[0, 1\], got -0.1"),
        ({"jitter_prob": 2}, r"jitter_prob must lie in \[0, 1\], got 2"),
        ({"blur_prob": 2}, r"blur_prob must lie in \[0, 1\], got 2"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdamAugment(**{"size": 32, **arguments})
