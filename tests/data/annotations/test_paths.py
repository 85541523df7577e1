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

import json
from pathlib import Path

import pytest

from monai_lamps.data.annotations import read_structure_values, resolve_mask_paths


def test_paths_of_label_and_masks_are_resolved_and_nothing_else() -> None:
    item = {
        "image": "a.png",
        "label": "m/a.png",
        "masks": {"heart": "h.gif", "lungs": ["l.gif", "/r.gif"], "ribs": None},
    }
    assert resolve_mask_paths(item, "/set") == {
        "image": "a.png",
        "label": "/set/m/a.png",
        "masks": {"heart": "/set/h.gif", "lungs": ["/set/l.gif", "/r.gif"], "ribs": None},
    }
    assert item["label"] == "m/a.png"


@pytest.mark.parametrize("item", [{"image": "a.png"}, {"label": [1, 0]}, {"label": 3}, {"masks": None}])
def test_an_item_without_mask_paths_stays(item: dict) -> None:
    assert resolve_mask_paths(item, "/set") == item


def test_the_values_of_label_maps_are_read_from_the_datalist(tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": [], "structures": {"heart": 1, "lungs": [2, 3]}}))
    assert read_structure_values(path) == {"heart": 1, "lungs": [2, 3]}
    path.write_text(json.dumps({"training": []}))
    assert read_structure_values(path) == {}


@pytest.mark.parametrize(
    "stated", [["heart"], {"heart": 0}, {"heart": "1"}, {"heart": [1, -1]}, {"heart": []}, {"a": True}]
)
def test_values_that_are_none_are_refused(tmp_path: Path, stated: object) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": [], "structures": stated}))
    with pytest.raises(
        ValueError, match=r"datalist '.*datalist.json': \"structures\" must give one whole number above 0"
    ):
        read_structure_values(path)
