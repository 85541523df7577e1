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

import pytest

from monai_lamps.data.organs import ORGAN_NAMES, ColumnOrgans, FolderOrgans, OrganLabel


def test_a_column_names_organ_side_and_view() -> None:
    item = {"image": "a.png", "organ": "Hands", "laterality": "left", "view": "ap_supine"}
    assert ColumnOrgans()(item) == OrganLabel("hand", "L", "AP", "Hands")
    assert ColumnOrgans()({"image": "a.png", "organ": "R KNEE AP"}) == OrganLabel("knee", "R", "AP", "R KNEE AP")
    assert ColumnOrgans()({**item, "view": "tunnel"}).view == "tunnel"


def test_a_column_may_be_a_label_of_the_item_or_have_another_name() -> None:
    item = {"image": "a.png", "labels": {"body_part": "L FOOT", "side": "R"}}
    assert ColumnOrgans("body_part", laterality="side")(item) == OrganLabel("foot", "R", "", "L FOOT")


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_an_empty_column_is_an_unknown_organ(value: object) -> None:
    assert ColumnOrgans()({"image": "a.png", "organ": value}) == OrganLabel()


def test_a_column_of_numbers_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"column 'organ' of 'a\.png' got 3 of type int, expected a text such as 'hand'"
    ):
        ColumnOrgans()({"image": "a.png", "organ": 3})


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("data/hand/1.png", OrganLabel("hand", "", "", "hand")),
        ("data/hand/left/PA/1.png", OrganLabel("hand", "L", "PA", "hand")),
        ("train/XR_SHOULDER/patient7/study1_positive/1.png", OrganLabel("shoulder", "", "", "XR_SHOULDER")),
        ("chest/knee/1.png", OrganLabel("knee", "", "", "knee")),
        ("data/left_feet/right/1.png", OrganLabel("foot", "L", "", "left_feet")),
        ("data/misc/1.png", OrganLabel(spelling="misc")),
        ("1.png", OrganLabel()),
    ],
)
def test_the_nearest_folder_that_is_an_organ_names_it(path: str, label: OrganLabel) -> None:
    assert FolderOrgans()({"image": path}) == label


def test_a_given_level_alone_names_the_organ() -> None:
    item = {"image": "/set/knee/hand/1.png"}
    assert [FolderOrgans(level)(item).organ for level in (1, 2, 3, 4)] == ["hand", "knee", "", ""]
    assert FolderOrgans(3)(item) == OrganLabel(spelling="set")
    with pytest.raises(
        ValueError, match=r"level got 0, expected 1 \(the folder that holds the file\) or above, or None"
    ):
        FolderOrgans(0)


def test_folders_above_the_given_one_are_not_looked_at() -> None:
    item = {"image": "/chest/archive/1.png"}
    assert FolderOrgans()(item).organ == "chest"
    assert FolderOrgans(below="/chest")(item) == OrganLabel(spelling="archive")


def test_names_of_ones_own_reach_the_sources() -> None:
    names = ORGAN_NAMES.also({"hoof": []})
    assert FolderOrgans(names=names)({"image": "hoof/1.png"}).organ == "hoof"
    assert ColumnOrgans(names=names)({"image": "1.png", "organ": "hoofs"}).organ == "hoof"
