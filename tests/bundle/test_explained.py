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

import logging
from typing import Any

import pytest

from monai_lamps.bundle import explained_images, explained_truth
from monai_lamps.data import AnnotationError
from monai_lamps.transforms import LoadBoxesd, LoadStructuresd, RandLesionTruthd

BOX = [[1, 2, 3, 4]]


def _items() -> list[dict[str, Any]]:
    """Six images of three patients, the last with a box of something else, the one before without any."""
    boxes: list[Any] = [{"Mass": BOX}, {"Mass": BOX}, {"Mass": BOX, "Nodule": BOX}, {"Mass": []}, None, {"Nodule": BOX}]
    return [
        {
            "image": f"/data/{n}.png",
            "patient": n // 2,
            "boxes": own,
            "labels": {"Mass": int(n < 3)},
            "masks": {"x": "m"},
        }
        for n, own in enumerate(boxes)
    ]


def _names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def test_images_that_show_where_something_is_come_first_then_others_without_their_annotations() -> None:
    chosen = explained_images(_items(), "Mass", ["Mass"])
    assert sorted(_names(chosen[:3])) == ["/data/0.png", "/data/1.png", "/data/2.png"]
    assert sorted(_names(chosen[3:])) == ["/data/3.png", "/data/4.png", "/data/5.png"]
    assert all(item["boxes"] for item in chosen[:3])
    assert all("boxes" not in item and "masks" not in item for item in chosen[3:])
    assert {item["patient"] for item in chosen} == {"0", "1", "2"}
    assert len(explained_images(_items(), "Mass")) == 6
    assert sum("boxes" in item for item in explained_images(_items(), "Mass")) == 4  # a nodule counts, too


def test_fewer_may_be_asked_for_and_the_seed_decides_which() -> None:
    chosen = explained_images(_items(), "Mass", ["Mass"], images=2, others=1)
    assert len(chosen) == 3
    assert {item["patient"] for item in chosen[:2]} == {"0", "1"}  # as many patients as there can be
    assert explained_images(_items(), "Mass", ["Mass"], images=2, others=1) == chosen
    picks = {tuple(_names(explained_images(_items(), "Mass", ["Mass"], images=1, seed=s))) for s in range(9)}
    assert len(picks) > 1
    assert len(explained_images(_items(), "Mass", ["Mass"], others=0)) == 3


def test_masks_are_the_truth_where_there_are_no_boxes_and_what_is_not_named_is_not_there() -> None:
    items: list[dict[str, Any]] = [
        {"image": "a.png", "masks": {"opacity": "a_o.png", "effusion": None}},
        {"image": "b.png", "polygons": {"effusion": [[[0, 0], [4, 0], [4, 4]]]}},
        {"image": "c.png", "masks": {"opacity": None, "effusion": None}},
        {"image": "d.png"},
    ]
    chosen = explained_images(items, "ill")
    assert {item["name"]: item.get("masks") for item in chosen} == {
        "a.png": {"opacity": "a_o.png", "effusion": None},
        "b.png": {"opacity": None},
        "c.png": None,
        "d.png": None,
    }
    truth = explained_truth(items)
    assert isinstance(truth, LoadStructuresd)
    assert truth.loader.parts == {"truth": ["opacity", "effusion"]}
    assert [item["patient"] for item in chosen[:2]] == [item["name"] for item in chosen[:2]]


def test_label_maps_tell_of_all_their_structures() -> None:
    items = [{"image": "a.png", "label": "map.png"}]
    assert len(explained_images(items, "ill", values={"opacity": 1})) == 1
    assert isinstance(explained_truth(items, values={"opacity": 1}), LoadStructuresd)


def test_boxes_are_read_where_there_are_any() -> None:
    truth = explained_truth(_items(), ["Mass"])
    assert isinstance(truth, LoadBoxesd)
    assert truth.loader.structures == ("Mass",)
    assert isinstance(explained_truth([{"image": "a.png"}]), LoadBoxesd)


def test_synthetic_lesions_are_put_on_images_that_do_not_show_the_target(caplog: pytest.LogCaptureFixture) -> None:
    chosen = explained_images(_items(), "Mass", synthetic="true", images=2)
    assert [item["lesioned"] for item in chosen] == [True, True, False, False]
    assert _names(chosen[:2]) == _names(chosen[2:])
    assert set(_names(chosen)) <= {"/data/3.png", "/data/4.png", "/data/5.png"}
    assert all("boxes" not in item for item in chosen)
    assert isinstance(explained_truth(_items(), synthetic=True), RandLesionTruthd)
    with caplog.at_level(logging.WARNING):
        assert len(explained_images(_items(), "Edema", synthetic=True)) == 12
    assert "no image has the label 'Edema': lesions are put on all images" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 0}, "images got 0 and others 64, expected at least 1 image"),
        ({"others": -1}, "others -1, expected at least 1 image and at least 0 others"),
        ({"structures": ["Hernia"]}, "structures got 'Hernia', which no image has; they have Mass, Nodule"),
        ({"synthetic": "perhaps"}, "synthetic got 'perhaps'"),
        ({"items": _items()[:3], "synthetic": True}, "all 3 images show 'Mass'"),
        ({"items": _items()[3:4]}, "none of 1 images shows where Mass is; an item says so by"),
        ({"items": [{"image": "a.png"}]}, "none of 1 images shows where anything is"),
        ({"items": [{"image": "a.png"}], "structures": ["x"]}, "they have neither boxes nor masks"),
    ],
)
def test_what_cannot_be_judged_is_said_with_its_mend(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explained_images(**{"items": _items(), "target": "Mass", **changes})


def test_boxes_without_names_cannot_be_chosen_by_name() -> None:
    with pytest.raises(AnnotationError, match="its boxes have no names, expected some of Mass"):
        explained_images([{"image": "a.png", "boxes": BOX}], "Mass", ["Mass"])
    assert len(explained_images([{"image": "a.png", "boxes": BOX}], "Mass")) == 1
