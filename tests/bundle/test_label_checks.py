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

from collections.abc import Callable
from typing import Any

import pytest
import torch

from monai_lamps.bundle import check_labels, check_masks, check_structures
from monai_lamps.data import AnnotationError

Item = dict[str, Any]


def _items(count: int, **entries: Any) -> list[Item]:
    return [{"image": f"{number}.png", "patient": f"p{number // 2}", **entries} for number in range(count)]


def test_a_structure_that_images_lack_is_refused_or_left_out() -> None:
    both, one = {"masks": {"heart": "h.png", "lung": "l.png"}}, {"masks": {"heart": "h.png"}}
    whole = {"training": _items(2, **both), "validation": _items(1, **both)}
    check_structures(whole, ["heart", "lung"])
    check_structures(whole, {"chest": ["heart", "lung"]})
    partly = {**whole, "training": [*_items(2, **both), {"image": "last.png", **one}]}
    message = "1 of 3 training images have no annotation of 'lung', such as 'last.png', which has heart"
    with pytest.raises(AnnotationError, match=message):
        check_structures(partly, {"chest": ["heart", "lung"]})
    check_structures(partly, ["heart", "lung"], missing="ignore")
    with pytest.raises(AnnotationError, match="1 of 1 validation images have no annotation of 'lung'"):
        check_structures({**whole, "validation": _items(1, **one)}, ["lung"], missing="ignore")


def _loader(seen: list[str], **shown: str) -> Callable[[Item], Item]:
    """Masks of a heart and a lung: those whose first letters ``shown`` has for the image; "?" cannot be read."""

    def load(item: Item) -> Item:
        name = item["image"].removesuffix(".png")
        seen.append(name)
        letters = shown.get(f"n{name}", "")
        if letters == "?":
            raise RuntimeError("broken")
        return {"label": torch.stack([torch.full((4, 4), float(letter in letters)) for letter in "hl"])}

    return load


def test_masks_are_opened_until_every_structure_was_seen() -> None:
    seen: list[str] = []
    check_masks(_items(9), _loader(seen, n0="h", n1="?", n2="h", n3="l"), ["heart", "lung"])
    assert seen == ["0", "1", "2", "3"]


def test_images_none_of_which_shows_a_structure_are_refused() -> None:
    message = "none of 3 training images shows lung: .*--shot_seed.*or take the structure out of --structures"
    with pytest.raises(AnnotationError, match=message):
        check_masks(_items(3), _loader([], n1="h", n2="?"), {"heart": ["heart"], "lung": ["lung"]})
    check_masks(_items(2), _loader([], n0="?", n1="?"), ["heart", "lung"])  # the run will say what is wrong with them
    seen: list[str] = []
    check_masks(_items(300), _loader(seen), ["heart", "lung"])
    assert not seen  # many images are not opened


def _labels(*values: float | None) -> list[Item]:
    return [{"image": f"{number}.png", "labels": {"Edema": value}} for number, value in enumerate(values)]


def test_labels_must_name_every_class_and_show_it() -> None:
    good = {"training": _labels(1, 0, -1), "validation": _labels(0, 0.7)}
    check_labels(good, ["Edema"])
    with pytest.raises(
        AnnotationError, match=r"3 of 3 training images have no label 'Mass', .*'0.png', which has Edema"
    ):
        check_labels(good, ["Edema", "Mass"])
    with pytest.raises(AnnotationError, match="none of 3 training images shows Mass"):
        check_labels(good, ["Edema", "Mass"], missing="unknown")
    with pytest.raises(AnnotationError, match="none of 2 training images shows Edema"):
        check_labels({**good, "training": _labels(0, None)}, ["Edema"])
    with pytest.raises(AnnotationError, match=r"no class of Edema has both .* among the 2 of validation"):
        check_labels({**good, "validation": _labels(1, 1)}, ["Edema"])
    with pytest.raises(AnnotationError, match="classes got 'Edema', expected a list of names"):
        check_labels(good, "Edema")


def test_a_class_that_validation_cannot_judge_is_named(caplog: pytest.LogCaptureFixture) -> None:
    items = [{"image": "a", "labels": {"A": 1, "B": 1}}, {"image": "b", "labels": {"A": 0, "B": 1}}]
    check_labels({"training": items, "validation": items}, ["A", "B"])
    assert "validation has no positive or no negative image of B: no AUROC of them" in caplog.text


def test_another_section_may_judge_but_not_the_one_that_is_learned_from() -> None:
    good = {"training": _labels(1, 0), "test": _labels(1, 0)}
    check_labels(good, ["Edema"], judged="test")
    with pytest.raises(AnnotationError, match="among the 1 of test, so no AUROC could be told"):
        check_labels({**good, "test": _labels(1)}, ["Edema"], judged="test")
    with pytest.raises(ValueError, match="section got 'training', whose images are learned from; expected validation"):
        check_labels(good, ["Edema"], judged="training")


def test_exactly_one_class_is_checked_where_all_labels_are_known() -> None:
    items = [{"image": "a", "labels": {"A": 1, "B": 0}}, {"image": "b", "labels": {"A": 0, "B": 1}}]
    unknown = {"image": "c", "labels": {"A": 1, "B": -1}}
    check_labels({"training": [*items, unknown], "validation": items}, ["A", "B"], multi_class=True)
    none = {"image": "d", "labels": {"A": 0, "B": 0}}
    with pytest.raises(
        AnnotationError, match="image 'd' has the classes \\[\\], expected exactly one of \\['A', 'B'\\]"
    ):
        check_labels({"training": [*items, none], "validation": items}, ["A", "B"], multi_class=True)
