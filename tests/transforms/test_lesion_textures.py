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

from monai_lamps.transforms import ForeignTexture, LesionSite, NoiseTexture, SelfTexture, SmoothOpacity
from monai_lamps.transforms.lesion_textures import TEXTURES

BOX = (slice(8, 24), slice(10, 30))


def site(image: torch.Tensor | None = None, box: tuple[slice, ...] = BOX) -> LesionSite:
    if image is None:
        image = torch.rand(1, 40, 48, generator=torch.Generator().manual_seed(0)) * 0.6
    return LesionSite(image, box, dark=0.1, bright=0.6)


def random(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


@pytest.mark.parametrize("texture", [*(make() for make in TEXTURES.values()), ForeignTexture([torch.rand(2, 30, 30)])])
def test_every_texture_fills_the_box_from_its_generator_and_leaves_the_image(texture) -> None:
    here = site(torch.rand(2, 40, 48))
    before = here.image.clone()
    first, again, other = texture(here, random(1)), texture(here, random(1)), texture(here, random(2))
    assert first.shape == (2, 16, 20)
    assert first.isfinite().all()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(here.image, before)


@pytest.mark.parametrize("texture", [*(make() for make in TEXTURES.values()), ForeignTexture([torch.rand(1, 8, 8, 8)])])
def test_every_texture_works_in_3d(texture) -> None:
    box = (slice(0, 10), slice(2, 9), slice(1, 8))
    filled = texture(site(torch.rand(1, 12, 12, 12), box), random())
    assert filled.shape == (1, 10, 7, 7)
    assert filled.isfinite().all()


def test_an_opacity_lifts_the_dark_most_and_never_darkens() -> None:
    image = torch.linspace(0, 1, 48).repeat(1, 40, 1)
    here = site(image, (slice(0, 40), slice(0, 48)))
    lifted = SmoothOpacity((0.5, 0.5), patchiness=0.0)(here, random()) - image
    assert (lifted >= 0).all()
    assert (lifted[0, 0].diff() <= 1e-6).all()
    assert float(lifted[0, 0, 0]) == pytest.approx(0.5 * 0.6, rel=0.02)  # half of the way to the bright tissue
    assert float(lifted[0, 0, -1]) < 0.01  # what is brighter stays


def test_patchiness_varies_the_opacity_and_0_is_even() -> None:
    here = site(torch.full((1, 40, 48), 0.2))
    even, patchy = (SmoothOpacity((0.5, 0.5), patchiness)(here, random()) for patchiness in (0.0, 0.3))
    assert float(even.std()) == pytest.approx(0, abs=1e-6)
    assert float(patchy.std()) > 0.02


def test_strength_is_drawn_from_its_range() -> None:
    here = site(torch.full((1, 40, 48), 0.1))
    rises = [float(SmoothOpacity((0.2, 0.8), 0.0)(here, random(seed)).mean()) - 0.1 for seed in range(60)]
    assert 0.1 <= min(rises) < 0.15
    assert 0.35 < max(rises) <= 0.41


def test_the_own_texture_is_a_mirrored_part_of_the_same_image() -> None:
    image = torch.rand(1, 40, 48, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.1
    image[(slice(None), *BOX)] = 0.1
    here = LesionSite(image, BOX, 0.1, 0.6)
    added = SelfTexture((1.0, 1.0))(here, random(4)) - 0.1
    shadow = added / added.max()
    matches = 0
    for flips in ([], [1], [2], [1, 2]):
        turned = shadow.flip(flips)
        windows = image.unfold(1, 16, 1).unfold(2, 20, 1)[0] - 0.1  # [rows, columns, 16, 20]
        scaled = windows / windows.amax((2, 3), keepdim=True).clamp(min=1e-6)
        matches += int(((scaled - turned[0]).abs().amax((2, 3)) < 1e-3).sum())
    assert matches >= 1


def test_a_foreign_texture_comes_from_the_donors_and_small_donors_are_enlarged() -> None:
    here = site(torch.full((1, 40, 48), 0.1))
    dark, bright = torch.full((1, 50, 50), 0.1), torch.full((1, 3, 5), 0.6)
    assert torch.equal(ForeignTexture([dark])(here, random()), here.there)  # no shadow
    lit = ForeignTexture([bright], strength=(1.0, 1.0))(here, random())
    assert float(lit.min()) > 0.55
    both = [float(ForeignTexture([dark, bright])(here, random(seed)).mean()) > 0.2 for seed in range(20)]
    assert 3 < sum(both) < 17


def test_noise_makes_mottles_that_are_brighter_on_the_whole() -> None:
    here = site(torch.full((1, 40, 48), 0.3))
    change = NoiseTexture(contrast=1.5)(here, random()) - 0.3
    assert float(change.min()) < 0
    assert float(change.mean()) > 0.02
    assert float(change.std()) > 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelfTexture((0.6, 0.4)), r"\(low, high\) with 0 <= low <= high <= 1, got \(0.6, 0.4\)"),
        (lambda: SmoothOpacity((0.2, 1.2)), r"low <= high <= 1, got \(0.2, 1.2\)"),
        (lambda: SmoothOpacity(patchiness=-1), "patchiness must be at least 0, got -1; 0 is an even"),
        (lambda: NoiseTexture(grain=(0.0, 0.1)), r"grain must be above 0, got \(0.0, 0.1\)"),
        (lambda: NoiseTexture(contrast=-0.5), "contrast must be at least 0, got -0.5"),
        (lambda: ForeignTexture([]), "donors must hold at least one image, got none; the kind 'self'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_donor_that_does_not_fit_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"donor 0 must have the channels .*\(1, 40, 48\), got \(3, 40, 48\); convert"):
        ForeignTexture([torch.rand(3, 40, 48)])(site(), random())
