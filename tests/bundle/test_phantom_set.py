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

import numpy as np
import pytest

from monai_lamps.bundle import annotated_phantoms
from monai_lamps.data import draw_annotated_thorax, load_datalist
from monai_lamps.data.annotations import read_binary_mask
from monai_lamps.data.phantom.annotations import STRUCTURES


def test_masks_and_labels_are_those_of_the_drawing(tmp_path: Path) -> None:
    datalist = annotated_phantoms(tmp_path, 8, 32, seed=1, structures=["heart"])
    assert [len(load_datalist(datalist, name)) for name in ("training", "validation", "test")] == [4, 2, 2]
    item = load_datalist(datalist, "validation")[1]
    drawing = draw_annotated_thorax(5, 32, 1, 0.5)
    np.testing.assert_array_equal(read_binary_mask(item["masks"]["heart"]), drawing.masks[STRUCTURES.index("heart")])
    assert item["labels"] == {"opacity": int(drawing.opacity_mask.any())}


def test_a_second_call_draws_nothing_again(tmp_path: Path) -> None:
    datalist = annotated_phantoms(tmp_path, 4, 32)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert annotated_phantoms(tmp_path, 4, 32) == datalist
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    annotated_phantoms(tmp_path, 4, 32, structures=["spine"])
    assert set(load_datalist(datalist)[0]["masks"]) == {"spine"}


def test_labels_are_what_the_drawing_shows(tmp_path: Path) -> None:
    datalist = annotated_phantoms(tmp_path, 8, 32, seed=1, structures=[], labels=["breast_shadows", "opacity"])
    drawings = [draw_annotated_thorax(number, 32, 1, 0.5) for number in range(4)]
    expected = [
        {"breast_shadows": int(drawing.breast_shadows), "opacity": int(drawing.opacity_mask.any())}
        for drawing in drawings
    ]
    assert [item["labels"] for item in load_datalist(datalist)] == expected
    with pytest.raises(ValueError, match=r"labels got \['mass'\], expected some of opacity, breast_shadows"):
        annotated_phantoms(tmp_path, 8, 32, seed=1, labels=["mass"])


@pytest.mark.parametrize("kwargs", [{"n": 3}, {"structures": ["liver"]}])
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, kwargs: dict) -> None:
    with pytest.raises(ValueError, match="expected at least 4 images and some of body, right_lung"):
        annotated_phantoms(tmp_path, **{"n": 4, "size": 32, **kwargs})
