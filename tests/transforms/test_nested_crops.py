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

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import (
    RandNestedCrops,
    RandNestedCropsd,
    nested_boxes,
    nested_crops,
    nested_scales,
    resample_box,
)

sides = st.integers(60, 90)


def test_eight_bands_are_the_published_ones() -> None:
    edges = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert np.asarray(nested_scales()) == pytest.approx(np.stack([edges[:-1], edges[1:]], axis=1))


@pytest.mark.parametrize("count", range(1, 16))
def test_any_number_of_bands_adjoin_and_end_at_the_published_edges(count: int) -> None:
    bands = nested_scales(count)
    assert len(bands) == count
    assert bands[0][0] == 0.05
    assert bands[-1][1] == 0.8
    assert all(low < high for low, high in bands)
    assert all(a[1] == b[0] for a, b in pairwise(bands))


@settings(max_examples=40, deadline=None)
@given(shape=st.lists(st.integers(30, 90), min_size=2, max_size=3).map(tuple), count=st.integers(1, 15))
def test_each_box_lies_inside_the_next_about_the_centre_and_has_its_share(shape: tuple[int, ...], count: int) -> None:
    boxes = np.asarray(nested_boxes(shape, count))  # (count, n, 2)
    assert (boxes[1:, :, 0] <= boxes[:-1, :, 0]).all()
    assert (boxes[1:, :, 1] >= boxes[:-1, :, 1]).all()
    margins = np.asarray(shape) - boxes[:, :, 1] - boxes[:, :, 0]  # after minus before
    assert set(np.unique(margins)) <= {0, 1}
    shares = np.asarray(nested_scales(count)).mean(axis=1) ** (1 / len(shape))
    assert (abs(np.diff(boxes, axis=-1)[..., 0] - shares[:, None] * shape) <= 0.5).all()


def test_the_nested_crops_show_the_nested_boxes() -> None:
    image = torch.rand(2, 30, 44, generator=torch.Generator().manual_seed(0))
    for crop, box in zip(nested_crops(image, 5, size=12), nested_boxes((30, 44), 5), strict=True):
        assert torch.equal(crop, resample_box(image, box, 12, "bicubic"))


def test_the_nested_crops_are_the_same_at_every_call() -> None:
    image = torch.rand(1, 40, 50)
    for a, b in zip(nested_crops(image), nested_crops(image.numpy()), strict=True):
        assert a.shape == (1, 96, 96)
        assert torch.equal(a, b)


@settings(max_examples=40, deadline=None)
@given(height=sides, width=sides, seed=st.integers(0, 2**31 - 1))
def test_random_crops_have_their_share_are_in_turn_upright_and_wide_and_lie_at_the_centre(
    height: int, width: int, seed: int
) -> None:
    transform = RandNestedCrops().set_random_state(seed)
    transform.randomize((height, width))
    assert len(transform.boxes) == 8
    for k, (((top, bottom), (left, right)), (low, high)) in enumerate(
        zip(transform.boxes, nested_scales(), strict=True)
    ):
        h, w = bottom - top, right - left
        assert 0 <= top <= height - bottom <= top + 1
        assert 0 <= left <= width - right <= left + 1
        limits = (1.0, 1.5) if k % 2 else (1 / 1.5, 1.0)
        assert (w + 0.5) / (h - 0.5) >= limits[0]
        assert (w - 0.5) / (h + 0.5) <= limits[1]
        rounding = (1 + 0.5 / h) * (1 + 0.5 / w)
        assert h * w / (height * width) <= high * rounding
        if h < height and w < width:  # else the image is too elongated for the share
            assert h * w / (height * width) >= low / rounding


def test_the_shares_of_a_square_are_uniform_in_their_band() -> None:
    transform, shares = RandNestedCrops(4).set_random_state(0), []
    for _ in range(1000):
        transform.randomize((1000, 1000))
        shares.append([np.prod([stop - start for start, stop in box]) / 1e6 for box in transform.boxes])
    middle = np.asarray(nested_scales(4)).mean(axis=1)[:3]  # the largest band is bent by what fits
    assert np.mean(shares, axis=0)[:3] == pytest.approx(middle, abs=0.006)


@pytest.mark.parametrize("shape", [(50, 60), (30, 32, 34)])
def test_random_crops_show_the_boxes_that_they_report(shape: tuple[int, ...]) -> None:
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    transform = RandNestedCrops(3, size=10).set_random_state(0)
    assert transform.boxes == []
    crops = transform(image)
    for crop, box in zip(crops, transform.boxes, strict=True):
        assert torch.equal(crop, resample_box(image, box, 10, "bicubic"))


def test_one_seed_gives_the_same_crops_and_randomize_false_repeats_them() -> None:
    image = torch.rand(1, 60, 60)
    first, second = (RandNestedCrops(3, size=10).set_random_state(3) for _ in range(2))
    out = first(image)
    for other in (second(image), first(image, randomize=False)):
        assert all(torch.equal(a, b) for a, b in zip(out, other, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(out, first(image), strict=True))
    again = first.set_random_state(3)(image)
    assert all(torch.equal(a, b) for a, b in zip(out, again, strict=True))


def test_the_dictionary_form_gives_all_keys_the_same_crops() -> None:
    image = torch.rand(1, 50, 50)
    label = (image > 0.5).float()
    transform = RandNestedCropsd(
        ["image", "label"], count=2, size=10, mode=["bicubic", "nearest-exact"], postfix="local"
    )
    out = transform.set_random_state(5)({"image": image, "label": label})
    alone = RandNestedCrops(2, size=10).set_random_state(5)
    for i, crop in enumerate(alone(image)):
        assert torch.equal(out[f"image_local{i}"], crop)
    for i, crop in enumerate(alone(label, mode="nearest-exact", randomize=False)):
        assert torch.equal(out[f"label_local{i}"], crop)
    assert torch.equal(out["image"], image)
    assert set(RandNestedCropsd("image", allow_missing_keys=True)({"name": 1})) == {"name"}


def test_wrong_settings_and_images_are_refused() -> None:
    for count in (0, 16, 2.5):
        with pytest.raises(ValueError, match=f"count must be a whole number of crops from 1 to 15, got {count}"):
            nested_scales(count)  # type: ignore[arg-type]
    for size in (0, 2.5):
        with pytest.raises(ValueError, match="size must be a positive whole number of px"):
            nested_crops(torch.rand(1, 8, 8), size=size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size must be a positive whole number of px, got 0"):
        RandNestedCrops(size=0)
    with pytest.raises(ValueError, match=r"ratio must be at least 1 .* got 0.5"):
        RandNestedCrops(ratio=0.5)
    with pytest.raises(ValueError, match="mode must be one of"):
        RandNestedCropsd("image", mode="lanczos")
    with pytest.raises(ValueError, match="mode must be one of"):
        nested_crops(torch.rand(1, 8, 8), mode="lanczos")
    with pytest.raises(ValueError, match="all keys must have one spatial shape to share crops"):
        RandNestedCropsd(["a", "b"])({"a": torch.rand(1, 20, 20), "b": torch.rand(1, 21, 20)})
    with pytest.raises(RuntimeError, match="no box has been drawn yet"):
        RandNestedCrops()(torch.rand(1, 20, 20), randomize=False)
