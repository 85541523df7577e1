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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import (
    RandResizedCenterCrop,
    RandResizedCenterCropd,
    RandResizedCrop,
    RandResizedCropd,
    resample_box,
)
from monai_lamps.transforms.resized_crop import center_box

sides = st.integers(40, 90)


@settings(max_examples=25, deadline=None)
@given(shape=st.one_of(st.tuples(sides, sides), st.tuples(sides, sides, sides)), seed=st.integers(0, 2**31 - 1))
def test_the_crop_is_the_box_that_it_reports_resampled_once(shape: tuple[int, ...], seed: int) -> None:
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    transform = RandResizedCrop(16).set_random_state(seed)
    out = transform(image)
    assert out.shape == (1, *[16] * len(shape))
    for (start, stop), side in zip(transform.box, shape, strict=True):
        assert 0 <= start < stop <= side
    assert torch.equal(out, resample_box(image, transform.box, 16, "bilinear"))


@settings(max_examples=50, deadline=None)
@given(shape=st.one_of(st.tuples(sides, sides), st.tuples(sides, sides, sides)), seed=st.integers(0, 2**31 - 1))
def test_the_box_has_a_share_and_ratios_within_the_limits(shape: tuple[int, ...], seed: int) -> None:
    transform = RandResizedCrop(16, scale=(0.1, 0.3), ratio=(0.8, 1.25)).set_random_state(seed)
    transform.randomize(shape)
    lengths = np.array([stop - start for start, stop in transform.box])
    rounding = np.prod((lengths + 0.5) / lengths)
    assert 0.1 / rounding <= lengths.prod() / np.prod(shape) <= 0.3 * rounding
    for length in lengths[1:]:
        assert (length + 0.5) / (lengths[0] - 0.5) >= 0.8
        assert (length - 0.5) / (lengths[0] + 0.5) <= 1.25


def test_the_shares_are_uniform_and_the_places_cover_the_image() -> None:
    transform, shares, starts = RandResizedCrop(8, scale=(0.2, 0.5)).set_random_state(0), [], []
    for _ in range(2000):
        transform.randomize((1000, 1000))
        shares.append(np.prod([stop - start for start, stop in transform.box]) / 1e6)
        starts.append([start / (1000 - (stop - start)) for start, stop in transform.box])
    assert np.mean(shares) == pytest.approx(0.35, abs=0.01)
    assert np.std(shares) == pytest.approx(0.3 / np.sqrt(12), rel=0.05)
    assert np.mean(starts, axis=0) == pytest.approx([0.5, 0.5], abs=0.03)
    assert np.std(starts, axis=0) == pytest.approx([1 / np.sqrt(12)] * 2, rel=0.05)


def test_a_crop_smaller_than_the_result_is_enlarged() -> None:
    out = RandResizedCrop(32).set_random_state(0)(torch.rand(1, 5, 7))
    assert out.shape == (1, 32, 32)
    assert torch.isfinite(out).all()


def test_one_seed_gives_one_crop_and_randomize_false_repeats_it() -> None:
    image = torch.rand(1, 40, 50)
    first, second = (RandResizedCrop(16).set_random_state(3) for _ in range(2))
    out = first(image)
    assert torch.equal(out, second(image))
    assert torch.equal(out, first(image, randomize=False))
    assert not torch.equal(out, first(image))


@pytest.mark.parametrize("shape", [(41, 60), (30, 44, 37)])
def test_the_centre_crop_has_equal_margins_on_both_sides(shape: tuple[int, ...]) -> None:
    transform, seen = RandResizedCenterCrop(8).set_random_state(0), set()
    for _ in range(30):
        out = transform(torch.rand(1, *shape))
        assert out.shape == (1, *[8] * len(shape))
        for (start, stop), side in zip(transform.box, shape, strict=True):
            assert 0 <= start <= side - stop <= start + 1
        seen.add(transform.box)
    assert len(seen) > 20


def test_the_centre_crop_has_the_sides_of_the_crop_anywhere() -> None:
    anywhere, centred = (cls(8).set_random_state(2) for cls in (RandResizedCrop, RandResizedCenterCrop))
    anywhere.randomize((60, 70))
    centred.randomize((60, 70))
    assert [b - a for a, b in anywhere.box] == [b - a for a, b in centred.box]


def test_an_elongated_image_gives_its_largest_allowed_centred_box() -> None:
    transform = RandResizedCenterCrop(8, scale=(0.9, 1.0)).set_random_state(0)
    transform.randomize((30, 120))
    assert transform.box == ((0, 30), (40, 80))


def test_a_box_about_the_centre_is_rounded_to_pixels() -> None:
    assert center_box((10, 7), (4.4, 2)) == ((3, 7), (2, 4))


@pytest.mark.parametrize(
    ("array", "dictionary"), [(RandResizedCrop, RandResizedCropd), (RandResizedCenterCrop, RandResizedCenterCropd)]
)
def test_the_dictionary_form_gives_all_keys_the_same_crop(array: type, dictionary: type) -> None:
    image = torch.rand(1, 40, 50)
    label = (image > 0.5).float()
    transform = dictionary(["image", "label", "absent"], 16, mode=["bilinear", "nearest-exact", "bilinear"],
                           allow_missing_keys=True)  # fmt: skip
    out = transform.set_random_state(5)({"image": image, "label": label, "name": "a"})
    alone = array(16).set_random_state(5)
    assert torch.equal(out["image"], alone(image))
    assert torch.equal(out["label"], alone(label, mode="nearest-exact", randomize=False))
    assert set(out["label"].unique().tolist()) <= {0.0, 1.0}
    assert set(out) == {"image", "label", "name"}


def test_keys_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="all keys must have one spatial shape"):
        RandResizedCropd(["a", "b"], 8)({"a": torch.rand(1, 20, 20), "b": torch.rand(1, 21, 20)})


def test_wrong_settings_and_repeating_before_a_draw_are_refused() -> None:
    for size in (0, 2.5):
        with pytest.raises(ValueError, match=f"size must be a positive whole number of px, got {size}"):
            RandResizedCrop(size)  # type: ignore[arg-type]
    for scale in ((0.0, 1.0), (0.9, 0.8), (0.5, 1.1)):
        with pytest.raises(ValueError, match="scale must be shares"):
            RandResizedCropd("image", 8, scale=scale)
    for ratio in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="ratio must be"):
            RandResizedCenterCrop(8, ratio=ratio)
    with pytest.raises(ValueError, match="mode must be one of"):
        RandResizedCenterCropd("image", 8, mode="lanczos")
    with pytest.raises(RuntimeError, match="no box has been drawn yet"):
        RandResizedCrop(8)(torch.rand(1, 20, 20), randomize=False)
