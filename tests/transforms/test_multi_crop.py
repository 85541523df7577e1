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

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import (
    RandMultiCrop,
    RandMultiCropD,
    RandMultiCropd,
    RandMultiCropDict,
    RandResizedCenterCrop,
    RandResizedCrop,
    resample_box,
)

sides = st.integers(30, 60)


def dino(mode: str = "bicubic") -> dict:
    crops = [RandResizedCrop(16, (0.4, 1.0), mode=mode), RandResizedCrop(8, (0.05, 0.4), mode="bilinear")]
    return {"crops": crops, "counts": (2, 5)}


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@settings(max_examples=20, deadline=None)
@given(shape=st.lists(sides, min_size=2, max_size=3).map(tuple), seed=st.integers(0, 2**31 - 1))
def test_each_group_shows_the_boxes_that_it_reports_in_its_own_size_scale_and_mode(
    shape: tuple[int, ...], seed: int
) -> None:
    image = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    transform = RandMultiCrop(**dino()).set_random_state(seed)
    groups = transform(image)
    assert [len(boxes) for boxes in transform.boxes] == [2, 5]
    for views, boxes, size, mode in zip(groups, transform.boxes, (16, 8), ("bicubic", "bilinear"), strict=True):
        assert views.shape == (len(boxes), 2, *[size] * len(shape))
        assert views.dtype == torch.float32
        for view, box in zip(views, boxes, strict=True):
            assert torch.equal(view, resample_box(image, box, size, mode))
            assert all(0 <= start < stop <= side for (start, stop), side in zip(box, shape, strict=True))


def test_the_groups_keep_to_their_shares_of_the_area() -> None:
    transform = RandMultiCrop(**dino()).set_random_state(0)
    for _ in range(50):
        transform.randomize((500, 500))
        for boxes, (low, high) in zip(transform.boxes, [(0.4, 1.0), (0.05, 0.4)], strict=True):
            for (top, bottom), (left, right) in boxes:
                assert 0.99 * low <= (bottom - top) * (right - left) / 500**2 <= 1.01 * high


def test_the_crops_of_a_group_differ() -> None:
    transform = RandMultiCrop(**dino()).set_random_state(0)
    transform.randomize((300, 300))
    assert all(len(set(boxes)) == len(boxes) for boxes in transform.boxes)


def test_a_crop_draws_as_it_does_alone() -> None:
    transform = RandMultiCrop([RandResizedCenterCrop(8)], [3]).set_random_state(4)
    alone, image = RandResizedCenterCrop(8).set_random_state(4), torch.rand(1, 40, 50)
    assert torch.equal(transform(image)[0], torch.stack([alone(image) for _ in range(3)]))


def test_one_crop_may_serve_two_groups() -> None:
    crop, image = RandResizedCrop(8), torch.rand(1, 40, 50)
    first, second = RandMultiCrop([crop, crop], [2, 1]).set_random_state(4)(image)
    (whole,) = RandMultiCrop([crop], [3]).set_random_state(4)(image)
    assert torch.equal(torch.cat([first, second]), whole)


def test_one_seed_gives_the_same_crops_and_randomize_false_repeats_them() -> None:
    image = torch.rand(1, 60, 60)
    first, second = (RandMultiCrop(**dino()).set_random_state(3) for _ in range(2))
    out = first(image)
    assert equal(out, second(image))
    assert equal(out, first(image, randomize=False))
    assert not equal(out, first(image))
    assert equal(out, first.set_random_state(3)(image.numpy()))


def test_the_dictionary_form_gives_all_keys_the_same_crops() -> None:
    image = torch.rand(1, 50, 50)
    label = (image > 0.5).float()
    transform = RandMultiCropd(["image", "label", "absent"], **dino(), mode=[None, "nearest-exact", "bilinear"],
                               allow_missing_keys=True)  # fmt: skip
    out = transform.set_random_state(5)({"image": image, "label": label, "name": "a"})
    added = {"image_globals", "image_locals", "label_globals", "label_locals"}
    assert set(out) == {"image", "label", "name", *added}
    alone = RandMultiCrop(**dino()).set_random_state(5)
    assert equal([out["image_globals"], out["image_locals"]], alone(image))
    assert equal([out["label_globals"], out["label_locals"]], alone(label, "nearest-exact", randomize=False))
    assert torch.equal(out["image"], image)
    assert set(out["label_locals"].unique().tolist()) <= {0.0, 1.0}


def test_one_mode_for_all_keys_and_names_of_ones_own() -> None:
    transform = RandMultiCropd("x", [RandResizedCrop(8, mode="bicubic")], [2], names=["views"], mode="bilinear")
    image = torch.rand(1, 30, 30)
    views = transform.set_random_state(1)({"x": image})["x_views"]
    assert torch.equal(views[1], resample_box(image, transform.multi_crop.boxes[0][1], 8, "bilinear"))


def test_the_aliases_of_the_dictionary_form_are_one_class() -> None:
    assert all(a is b for a, b in pairwise([RandMultiCropd, RandMultiCropD, RandMultiCropDict]))


def test_wrong_settings_and_images_are_refused() -> None:
    crop = RandResizedCrop(8)
    for crops, counts in (([], []), ([crop], [1, 2])):
        with pytest.raises(ValueError, match=rf"a count for each .* got {len(crops)} and \["):
            RandMultiCrop(crops, counts)
    for count in (0, 1.5):
        with pytest.raises(ValueError, match=rf"whole numbers of crops >= 1, got \[{count}\]; leave a group out"):
            RandMultiCrop([crop], [count])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="crops got a int, expected transforms such as RandResizedCrop"):
        RandMultiCrop([8], [1])  # type: ignore[list-item]
    for names in (("a",), ("a", "a"), ("a", "b", "c")):
        with pytest.raises(ValueError, match="expected 2 different names, one for each group of crops, got"):
            RandMultiCropd("image", **dino(), names=names)
    with pytest.raises(ValueError, match="mode must be one of"):
        RandMultiCropd("image", **dino(), mode="lanczos")
    with pytest.raises(ValueError, match="all keys must have one spatial shape to share crops"):
        RandMultiCropd(["a", "b"], **dino())({"a": torch.rand(1, 20, 20), "b": torch.rand(1, 21, 20)})
    with pytest.raises(RuntimeError, match="no boxes have been drawn yet; call randomize"):
        RandMultiCrop(**dino())(torch.rand(1, 20, 20), randomize=False)
    transform = RandMultiCrop(**dino())
    transform(torch.rand(1, 20, 20))
    with pytest.raises(ValueError, match="the box has 2 axes but the image is"):
        transform(torch.rand(1, 20, 20, 20), randomize=False)
