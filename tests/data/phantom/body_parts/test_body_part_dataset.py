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

import pickle

import pytest
import torch
from monai.data import Dataset

from monai_lamps.data import BodyPartPhantom
from monai_lamps.data.phantom.body_parts import BODY_PARTS, draw_body_part


def test_items_take_turns_among_the_parts_and_say_what_they_show() -> None:
    data = BodyPartPhantom(["knee", "jaw"], length=5, size=32, seed=2)
    assert isinstance(data, Dataset)
    assert [data[index]["organ"] for index in range(5)] == ["knee", "jaw", "knee", "jaw", "knee"]
    drawing = draw_body_part("knee", 4, 32, seed=2)
    item = data[-1]
    assert torch.equal(item["image"], torch.from_numpy(drawing.image))
    assert {key: item[key] for key in ("index", "laterality", "view")} == {
        "index": 4,
        "laterality": drawing.laterality,
        "view": "AP",
    }
    assert BodyPartPhantom("hand", 2, 32)[1]["organ"] == "hand"
    assert BodyPartPhantom().parts == BODY_PARTS


def test_the_transform_sees_the_dictionary_and_the_data_set_travels_to_workers() -> None:
    data = pickle.loads(pickle.dumps(BodyPartPhantom("hand", 2, 32, transform=_emptied)))
    assert data[1]["image"].abs().sum() == 0
    assert len(data) == 2


def _emptied(item: dict) -> dict:
    return {**item, "image": item["image"] * 0}


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"parts": "liver"}, ValueError, "body part got 'liver', expected one of chest, hand"),
        ({"parts": []}, ValueError, "parts got none, expected some of chest, hand"),
        ({"length": 0}, ValueError, "length must be at least 1 image, got 0"),
        ({"length": 2.0}, TypeError, r"length must be an integer, got 2\.0 of type float"),
        ({"size": 31}, ValueError, "size must be at least 32"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
        ({"transform": 3}, TypeError, r"transform must be callable or None, got 3 \(int\)"),
    ],
)
def test_bad_arguments_are_refused(kwargs: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BodyPartPhantom(**kwargs)
