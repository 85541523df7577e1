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

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, set_track_meta
from PIL import Image

from monai_lamps.data.annotations import AnnotationError
from monai_lamps.transforms import LoadBoxes, LoadBoxesD, LoadBoxesd, LoadBoxesDict, LoadRadiographd

SIZE = (40, 56)


def test_a_box_covers_its_pixels_and_boxes_are_united() -> None:
    boxes = {"Mass": [[10, 20, 4, 3]], "Effusion": [[12, 21, 10, 5], [0, 0, 1, 1]], "Hernia": None}
    mask, annotated = LoadBoxes()({"boxes": boxes}, SIZE)
    expected = torch.zeros(1, *SIZE)
    expected[0, 20:23, 10:14] = expected[0, 21:26, 12:22] = expected[0, 0, 0] = 1
    assert torch.equal(mask, expected)
    assert (mask.dtype, annotated.tolist()) == (torch.float32, [True])


def test_pixels_whose_centres_lie_in_a_box_of_fractions_belong_to_it() -> None:
    mask, _ = LoadBoxes()({"boxes": [[2.4, 3.6, 2.0, 1.0]]}, SIZE)
    assert mask[0].nonzero().tolist() == [[4, 2], [4, 3]]


def test_only_named_structures_count_and_those_that_are_not_listed_are_not_there() -> None:
    load = LoadBoxes(["Mass", "Nodule"])
    assert load({"boxes": {"Mass": [[0, 0, 2, 2]], "Effusion": [[9, 9, 9, 9]]}}, SIZE)[0].sum() == 4
    mask, annotated = load({"boxes": {"Effusion": [[9, 9, 9, 9]]}}, SIZE)
    assert (float(mask.sum()), annotated.tolist()) == (0, [True])


def test_an_item_without_boxes_says_nothing() -> None:
    mask, annotated = LoadBoxes()({"image": "a.png"}, SIZE)
    assert (mask.shape, float(mask.sum()), annotated.tolist()) == ((1, *SIZE), 0, [False])
    assert LoadBoxes()({"boxes": []}, SIZE)[1].tolist() == [True]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3]], r"image 'a.png': a box must be \[x, y, width, height\] in px.*got \[1, 2, 3\]"),
        ([[1, 2, 0, 3]], "a width and a height above 0"),
        ([[1, 2, "3", 3]], r"got \[1, 2, '3', 3\]"),
        ([[50, 2, 30, 3]], "outside the image of 56 x 40 pixels.*drawn on another size"),
        ([[float("nan"), 2, 30, 3]], "finite"),
        ("Mass", "'boxes' must be lists .* got 'Mass'"),
    ],
)
def test_boxes_that_cannot_be_are_refused(boxes: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        LoadBoxes()({"image": "a.png", "boxes": boxes}, SIZE)


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="structures must be a list of different names, got 'Mass'"):
        LoadBoxes("Mass")
    with pytest.raises(AnnotationError, match="its boxes have no names, expected some of Mass"):
        LoadBoxes(["Mass"])({"boxes": [[1, 2, 3, 4]]}, SIZE)
    with pytest.raises(ValueError, match="keys must be one key, where the mask goes"):
        LoadBoxesd(["a", "b"])
    with pytest.raises(AnnotationError, match=r"'image' is 'a\.png', expected the loaded image; put LoadRadiographd"):
        LoadBoxesd("mask")({"image": "a.png"})


def test_the_boxes_of_a_loaded_image_become_its_mask(tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, SIZE, np.uint8)).save(path)
    item = LoadRadiographd("image")({"image": path, "boxes": {"Mass": [[10, 20, 4, 3]]}, "patient": "p"})
    found = LoadBoxesd("mask")(item)
    assert set(found) == {"image", "patient", "mask", "annotated"}
    assert isinstance(found["mask"], MetaTensor)
    assert (found["mask"].shape, float(found["mask"].sum()), bool(found["annotated"])) == ((1, *SIZE), 12, True)
    set_track_meta(False)
    try:
        assert not isinstance(LoadBoxesd("mask", image_key="image")(item)["mask"], MetaTensor)
    finally:
        set_track_meta(True)
    with pytest.raises(AnnotationError, match=r"image '.*a.png': a box must be"):
        LoadBoxesd("mask")({**item, "boxes": [[1]]})
    assert LoadBoxesD is LoadBoxesDict is LoadBoxesd
