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

from collections import Counter
from pathlib import Path

import pytest

from monai_lamps.bundle import body_part_datalist
from monai_lamps.data import ColumnOrgans, FolderOrgans, load_datalist, organ_labels
from monai_lamps.data.phantom.body_parts.drawing import side_and_view


def test_the_datalist_names_organ_side_and_view_of_every_image(tmp_path: Path) -> None:
    datalist = body_part_datalist(tmp_path, 5, 32, seed=1, parts=["hand", "jaw"], validation=0.2)
    training, validation = (load_datalist(datalist, name) for name in ("training", "validation"))
    assert Counter(item["organ"] for item in training) == {"hand": 4, "jaw": 4}
    assert Counter(item["organ"] for item in validation) == {"hand": 1, "jaw": 1}
    assert training[1] == {
        "image": str(tmp_path / "images/hand/hand_00001.png"),
        "patient": "hand_00001",
        "organ": "hand",
        "laterality": side_and_view("hand", 1, 1)[0],
        "view": "PA",
    }
    assert "laterality" not in validation[1]
    assert all(Path(item["image"]).is_file() for item in training + validation)


def test_columns_and_folders_give_the_same_organs(tmp_path: Path) -> None:
    items = load_datalist(body_part_datalist(tmp_path, 4, 32, parts=["knee", "foot"]))
    by_column, by_folder = (organ_labels(items, source) for source in (ColumnOrgans(), FolderOrgans(1)))
    assert by_column.names == by_folder.names == ["foot", "knee"]
    assert by_column.index == by_folder.index == [1, 1, 1, 0, 0, 0]


def test_a_second_call_draws_nothing_again(tmp_path: Path) -> None:
    datalist = body_part_datalist(tmp_path, 4, 32, parts=["knee", "foot"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    assert body_part_datalist(tmp_path, 4, 32, parts=["knee", "foot"]) == datalist
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    body_part_datalist(tmp_path, 4, 32, parts=["knee", "foot"], validation=0.5)
    assert len(load_datalist(datalist, "validation")) == 4


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n": 3}, r"body parts got 3 images each of .*expected at least 4 each of two or more"),
        ({"parts": ["hand"]}, r"body parts got 4 images each of \['hand'\], expected at least 4 each of two or more"),
        ({"parts": ["hand", "liver"]}, "body part got 'liver', expected one of chest"),
        ({"validation": 1.0}, r"shares with a sum below 1, got 1\.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        body_part_datalist(tmp_path, **{"n": 4, "size": 32, **kwargs})
