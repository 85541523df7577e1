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

from monai_lamps.metrics.anatomy import cell_centres
from monai_lamps.registration import (
    AffineFit,
    AffineMap,
    PointFit,
    Registration,
    ThinPlateFit,
    displaced_pixels,
    folding_share,
    register,
    registration,
    resample_by_map,
)
from monai_lamps.transforms import KnownWarp, RandKnownWarp

SIZE, GRID, NAMES = (96, 80), (12, 10), ["heart", "lung"]


def encoded(points: torch.Tensor) -> torch.Tensor:
    """Features (D, *GRID) that know the place of the fixed image's anatomy."""
    share = points.double() / torch.tensor(SIZE)
    waves = torch.cat([share * math.pi * frequency for frequency in (1, 2, 4)], 1)
    return torch.cat([waves.sin(), waves.cos()], 1).T.reshape(-1, *GRID)


def patients() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, KnownWarp]:
    """Features and masks of a fixed and a moving image, which is the fixed one warped."""
    random = RandKnownWarp(translation=0.1, bend=0.02)
    random.set_random_state(4)
    random.randomize(SIZE)
    assert random.drawn is not None
    masks = torch.zeros(2, *SIZE)
    masks[0, 40:60, 20:44] = 1
    masks[1, 16:70, 50:66] = 1
    centres = cell_centres(GRID, SIZE)
    moving = random.drawn.apply(masks, "nearest")
    return encoded(centres), encoded(random.drawn.to_source(centres)), masks, moving, random.drawn


def identity(points: torch.Tensor) -> torch.Tensor:
    return points


@pytest.mark.parametrize(("fit", "least"), [(AffineFit(), 0.9), (ThinPlateFit(0.01), 0.93)])
def test_with_perfect_features_the_organs_come_to_lie_upon_each_other(fit: PointFit, least: float) -> None:
    fixed, moving, fixed_masks, moving_masks, _ = patients()
    figures = registration(fixed, moving, fixed_masks, moving_masks, NAMES, fit)
    assert figures["dice_before"] < 0.8
    assert figures["dice_after"] > least
    assert figures["dice_after"] == pytest.approx((figures["dice_after/heart"] + figures["dice_after/lung"]) / 2)
    assert figures["folding"] == figures["failed"] == 0


def test_a_deformable_map_follows_the_true_one_more_closely_than_an_affine_one() -> None:
    fixed, moving, *_, warp = patients()
    points = cell_centres(GRID, SIZE)[33:87]
    affine, deformable = (
        (register(fixed, moving, SIZE, SIZE, fit)(points) - warp.to_warped(points)).norm(dim=1).mean()
        for fit in (AffineFit(), ThinPlateFit(0.01))
    )
    assert deformable < 0.8 * affine
    assert deformable < 1.5


def test_images_of_different_size_are_aligned_in_their_own_pixels() -> None:
    features = encoded(cell_centres(GRID, SIZE))
    found = register(features, features, SIZE, (192, 240), AffineFit())
    points = torch.tensor([[10.0, 10], [50, 60]])
    assert torch.allclose(found(points), (points.double() + 0.5) * torch.tensor([2.0, 3]) - 0.5, atol=0.5)


def test_features_that_know_nothing_leave_the_pair_as_it_is_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    _, _, fixed_masks, moving_masks, _ = patients()
    blind = torch.ones(3, *GRID)
    figures = registration(blind, blind, fixed_masks, moving_masks, NAMES, AffineFit())
    assert figures["failed"] == 1
    assert math.isnan(figures["folding"])
    assert figures["dice_after"] == figures["dice_before"]
    assert "a pair of images was left as it is: an affine map needs at least 3 matches" in caplog.text


def test_the_metric_is_the_mean_over_pairs() -> None:
    fixed, moving, fixed_masks, moving_masks, _ = patients()
    metric = Registration(NAMES, AffineFit())
    first = metric(fixed, moving, fixed_masks, moving_masks, patient="a")
    second = metric(fixed, torch.ones_like(moving), fixed_masks, moving_masks, patient="b")
    assert metric.aggregate()["failed"] == 0.5
    assert metric.aggregate()["dice_after"] == pytest.approx((first["dice_after"] + second["dice_after"]) / 2)
    assert metric.aggregate()["folding"] == first["folding"]


@pytest.mark.parametrize("size", [(5, 7), (100, 130), (9, 70, 6)])
def test_every_pixel_is_displaced_by_the_map_of_its_place(size: tuple[int, ...]) -> None:
    n = len(size)
    affine = AffineMap(torch.eye(n, dtype=torch.float64) * 1.1, torch.arange(n, dtype=torch.float64))
    axes = [torch.arange(side, dtype=torch.float64) for side in size]
    expected = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) * 1.1 + torch.arange(n)
    assert torch.allclose(displaced_pixels(affine, size), expected, atol=1e-6)


def test_the_identity_returns_the_image_and_a_shift_shifts_it() -> None:
    image = torch.rand(2, 20, 30)
    assert torch.allclose(resample_by_map(image, identity, (20, 30)), image, atol=1e-4)
    shift = AffineMap(torch.eye(2, dtype=torch.float64), torch.tensor([0.0, 3.0]).double())
    border, zeros = (resample_by_map(image, shift, (20, 30), "nearest", outside) for outside in ("border", "zeros"))
    assert torch.equal(border[..., :27], image[..., 3:])
    assert torch.equal(border[..., 27:], image[..., -1:].expand(2, 20, 3))
    assert (zeros[..., 27:] == 0).all()
    volume = torch.rand(1, 5, 6, 7)
    assert torch.allclose(resample_by_map(volume, identity, (5, 6, 7)), volume, atol=1e-4)


def test_folds_are_counted() -> None:
    def half_mirrored(points: torch.Tensor) -> torch.Tensor:
        return torch.stack([points[:, 0], (points[:, 1] - 20).abs()], 1)

    assert folding_share(identity, (30, 40)) == 0
    assert folding_share(half_mirrored, (30, 40)) == pytest.approx(0.5, abs=0.05)


def test_wrong_arguments_are_refused() -> None:
    for mode, outside in (("bicubic", "border"), ("bilinear", "reflection")):
        with pytest.raises(ValueError, match=r"mode must be one of .* and outside one of .*, got"):
            resample_by_map(torch.rand(1, 5, 5), identity, (5, 5), mode, outside)
    with pytest.raises(ValueError, match=r"moving must be \(C, \*spatial\) with 2 spatial axes, got \(1, 5, 5, 5\)"):
        resample_by_map(torch.rand(1, 5, 5, 5), identity, (5, 5))
