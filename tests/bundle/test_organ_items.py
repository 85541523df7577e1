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

import os

import pytest

from monai_lamps.bundle import mixed_items, organ_source, organ_table
from monai_lamps.data.organs import ColumnOrgans, DicomOrgans, FolderOrgans

ITEMS = [{"image": f"{number}.png", "organ": organ} for number, organ in enumerate(["hand", "Thorax", "hand", "CHEST"])]


def test_each_word_names_its_source() -> None:
    column = organ_source("column", "part")
    assert isinstance(column, ColumnOrgans)
    assert column.column == "part"
    assert isinstance(organ_source("dicom"), DicomOrgans)
    folder = organ_source("folder", level=2)
    assert isinstance(folder, FolderOrgans)
    assert (folder.level, folder.below) == (2, None)


def test_folders_above_the_data_do_not_name_the_organ() -> None:
    item = {"image": os.path.abspath("chest/films/hand/1.png")}
    assert organ_source("folder", dataset_dir="chest/films")(item).organ == "hand"
    assert organ_source("folder", dataset_dir="chest")({"image": os.path.abspath("chest/films/1.png")}).organ == ""


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="organs got 'header', expected one of column, folder, dicom"):
        organ_source("header")


def test_organs_are_numbered_and_labels_not_kept() -> None:
    table = organ_table(ITEMS, organ_source("column"))
    assert (table.names, table.index, table.labels) == (["chest", "hand"], [1, 0, 1, 0], [])
    assert [item["organ_index"] for item in table.numbered(ITEMS)] == [1, 0, 1, 0]


def test_validation_takes_the_numbers_of_training() -> None:
    items = [{"image": "7.png", "organ": "knee"}, {"image": "8.png", "organ": "hand"}]
    assert organ_table(items, organ_source("column"), ["chest", "hand"]).index == [-1, 1]
    assert organ_table([], organ_source("column"), ["chest", "hand"]).index == []


def test_what_is_not_contrasted_needs_no_organs() -> None:
    source = organ_source("column")
    with pytest.raises(ValueError, match="the images show hand 1, expected at least two organs"):
        organ_table([{"image": "7.png", "organ": "hand"}], source)
    alone = organ_table([{"image": "7.png", "organ": "hand"}, {"image": "8.png"}], source, contrasted=False)
    assert (alone.names, alone.index) == (["hand"], [0, -1])
    assert organ_table([{"image": "8.png"}], source, contrasted=False).names == []


def test_items_are_mixed_in_an_order_of_the_seed() -> None:
    items = [{"image": f"{number}.png"} for number in range(50)]
    first = mixed_items(items, 1)
    assert first == mixed_items(items, 1)
    assert first != items
    assert first != mixed_items(items, 2)
    assert sorted(first, key=items.index) == items
