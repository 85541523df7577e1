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
from monai.data import MetaTensor

from monai_lamps.transforms import KnownWarp, RandKnownWarp, RandKnownWarpd
from monai_lamps.transforms.elastic import lattice_shape

SHAPES = [(41, 33), (13, 15, 11)]


def drawn(shape: tuple[int, ...], seed: int = 0, **options: float) -> KnownWarp:
    random = RandKnownWarp(**options)
    random.set_random_state(seed)
    random.randomize(shape)
    assert random.drawn is not None
    return random.drawn


def pixels(shape: tuple[int, ...]) -> torch.Tensor:
    axes = [torch.arange(side, dtype=torch.float64) for side in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))  # each pixel shows its own coordinates


@pytest.mark.parametrize("shape", SHAPES)
def test_the_warped_image_shows_what_lies_at_the_points_of_the_map(shape: tuple[int, ...]) -> None:
    warp, source = drawn(shape), pixels(shape)
    shown = warp.apply(source)
    expected = warp.to_source(source.flatten(1).T).T.view(source.shape)
    limits = torch.tensor(shape, dtype=torch.float64).view(-1, *[1] * len(shape)) - 1
    assert torch.allclose(shown, torch.minimum(expected.clamp(min=0), limits), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_points_return_from_either_image_between_and_beyond_the_pixels(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    for seed in range(5):
        warp = drawn(shape, seed)
        points = (torch.rand(50, len(shape), generator=generator, dtype=torch.float64) * 1.2 - 0.1) * max(shape)
        assert torch.allclose(warp.to_source(warp.to_warped(points)), points, atol=1e-5)
        assert torch.allclose(warp.to_warped(warp.to_source(points)), points, atol=1e-4)
        assert (warp.to_source(points) - points).abs().max() > 0.5


def test_a_bright_spot_lands_where_the_map_says() -> None:
    warp, spot = drawn((64, 64), seed=3), torch.tensor([[22.3, 40.8]], dtype=torch.float64)
    distance = (pixels((64, 64)) - spot.view(2, 1, 1)).square().sum(0)
    image = torch.exp(-distance / (2 * 2.5**2))[None]
    shown = warp.apply(image)
    found = (pixels((64, 64)) * shown).sum((1, 2)) / shown.sum()
    assert torch.allclose(found, warp.to_warped(spot)[0], atol=0.3)


def test_without_any_range_nothing_moves() -> None:
    warp = drawn((9, 12), rotation=0, scaling=0, translation=0, bend=0)
    image, points = torch.rand(1, 9, 12), torch.rand(4, 2) * 9
    assert torch.allclose(warp.apply(image), image, atol=1e-5)
    assert torch.allclose(warp.to_warped(points), points.double(), atol=1e-6)


def test_the_ranges_are_kept() -> None:
    for seed in range(20):
        turned = drawn((20, 30), seed, scaling=0, translation=0, bend=0, rotation=0.3).matrix
        assert torch.allclose(turned @ turned.T, torch.eye(2, dtype=torch.float64), atol=1e-9)
        assert abs(math.atan2(float(turned[0, 1]), float(turned[0, 0]))) <= 0.3
        scaled = drawn((20, 30), seed, rotation=0, translation=0, bend=0, scaling=0.25)
        assert ((scaled.matrix.diag() <= 1.25) & (scaled.matrix.diag() >= 0.8)).all()
        assert (scaled.offset == 0).all()
        assert (drawn((20, 30), seed, translation=0.1).offset.abs() <= 2).all()


def test_the_bending_has_the_strength_asked_for() -> None:
    options = {"rotation": 0.0, "scaling": 0.0, "translation": 0.0, "bend": 0.02}
    grid = pixels((30, 50)).flatten(1).T
    moved = torch.stack([drawn((30, 50), seed, **options).to_source(grid) - grid for seed in range(40)])
    assert float(moved.std()) == pytest.approx(0.02 * 30, rel=0.15)


def test_the_border_goes_on_and_labels_stay_labels() -> None:
    still = torch.zeros(2, *lattice_shape((4, 6), 2), dtype=torch.float64)
    shift = KnownWarp((4, 6), torch.eye(2, dtype=torch.float64), torch.tensor([0.0, 2.0]).double(), still, 2)
    image = torch.arange(6.0).expand(1, 4, 6)
    assert torch.allclose(shift.apply(image)[0, 1], torch.tensor([2.0, 3, 4, 5, 5, 5]), atol=1e-5)
    labels = (torch.rand(2, 41, 33) > 0.5).float()
    assert set(drawn((41, 33)).apply(labels, "nearest").unique().tolist()) == {0, 1}


def test_a_missing_point_stays_missing() -> None:
    points = torch.tensor([[3.0, 4], [math.nan, math.nan]])
    carried = drawn((20, 20)).to_warped(points)
    assert carried[0].isfinite().all()
    assert carried[1].isnan().all()


def test_a_seed_draws_the_same_and_a_draw_can_be_repeated() -> None:
    image, masks = torch.rand(1, 20, 24), (torch.rand(1, 20, 24) > 0.5).float()
    first, second = RandKnownWarp().set_random_state(5), RandKnownWarp().set_random_state(5)
    assert torch.equal(first(image), second(image))
    assert torch.equal(first(image, randomize=False), second(image, randomize=False))
    assert torch.equal(first(masks, randomize=False, mode="nearest"), second(masks, randomize=False, mode="nearest"))
    assert not torch.equal(first(image), second(image, randomize=False))


def test_the_dictionary_form_warps_image_mask_and_points_alike() -> None:
    image = torch.zeros(1, 50, 50)
    image[0, 20:23, 30:33] = 1
    data = {"image": MetaTensor(image), "mask": image, "points": torch.tensor([[21.0, 31.0]]), "name": "a"}
    transform = RandKnownWarpd(["image", "mask"], ["bilinear", "nearest"], ["points"]).set_random_state(2)
    warped = transform(data)
    assert warped["name"] == "a"
    assert isinstance(warped["image"], MetaTensor)
    point = warped["points"][0]
    assert torch.equal(data["points"], torch.tensor([[21.0, 31.0]]))
    for key in ("image", "mask"):
        assert float(warped[key][0, round(float(point[0])), round(float(point[1]))]) > 0.5
    assert set(warped["mask"].unique().tolist()) == {0, 1}


def test_missing_keys_are_skipped_only_when_allowed() -> None:
    data = {"mask": torch.rand(1, 8, 8)}
    lenient = RandKnownWarpd(["image", "mask"], points_keys=["points"], allow_missing_keys=True)
    assert set(lenient(data)) == {"mask"}
    assert lenient({"name": 1}) == {"name": 1}
    with pytest.raises(KeyError):
        RandKnownWarpd(["mask"], points_keys=["points"])(data)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="rotation must be at least 0, got -1"):
        RandKnownWarp(rotation=-1)
    with pytest.raises(ValueError, match=r"smoothness must be .* 7 times bend \(0.1\), .* got 0.2; e.g. 0.7"):
        RandKnownWarp(bend=0.1, smoothness=0.2)
    with pytest.raises(RuntimeError, match="no warp has been drawn yet"):
        RandKnownWarp()(torch.rand(1, 8, 8), randomize=False)
    warp = drawn((8, 8))
    with pytest.raises(ValueError, match=r"images \(C, \(8, 8\)\), got \(1, 8, 9\)"):
        warp.apply(torch.rand(1, 8, 9))
    with pytest.raises(ValueError, match=r"mode must be one of .* got 'bicubic'"):
        warp.apply(torch.rand(1, 8, 8), "bicubic")
    for carry in (warp.to_source, warp.to_warped):
        with pytest.raises(ValueError, match=r"points must be \(N, 2\) px .* got \(4, 3\)"):
            carry(torch.rand(4, 3))
    with pytest.raises(ValueError, match=r"got \(2,\)"):
        warp.to_warped(torch.rand(2))


def test_a_warp_that_folds_says_so() -> None:
    gentle = drawn((40, 40))
    folding = KnownWarp(gentle.shape, gentle.matrix, gentle.offset, gentle.noise * 60, gentle.sigma)
    with pytest.raises(RuntimeError, match="the warp folds; use a smaller noise"):
        folding.to_warped(pixels((40, 40)).flatten(1).T)
