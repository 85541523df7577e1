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
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data.sets import read_set
from monai_lamps.data.sets.chestx_det import CHESTX_DET_CLASSES
from monai_lamps.transforms.load_structures import LoadStructures

Make = Callable[..., Any]

SQUARE = [[2, 1], [5, 1], [5, 4], [2, 4]]
TRAIN = [
    {"file_name": "36200.png", "syms": [], "boxes": [], "polygons": []},
    {
        "file_name": "36204.png",
        "syms": ["Effusion", "Consolidation", "Effusion"],
        "boxes": [[2, 1, 5, 4], [2, 1, 5, 4], [10, 10, 12, 12]],
        "polygons": [SQUARE, SQUARE, [[10, 10], [12, 10], [12, 12], [10, 12]]],
    },
]
TEST = [{"file_name": "36199.png", "syms": ["Mass"], "boxes": [[2, 1, 5, 4]], "polygons": [SQUARE]}]


@pytest.fixture
def folder(tmp_path: Path, picture: Make, save_json: Make) -> Path:
    for part, entries in (("train", TRAIN), ("test", TEST)):
        save_json(tmp_path / f"ChestX_Det_{part}.json", entries)
        for entry in entries:
            picture(tmp_path / f"{part}_data" / part / str(entry["file_name"]))
    return tmp_path


def test_findings_are_labels_and_overlapping_masks(folder: Path) -> None:
    sections = read_set("chestx_det", folder, validation=0.0)
    healthy, ill = sections["training"]
    assert not any(healthy["labels"].values())
    assert list(healthy["labels"]) == list(CHESTX_DET_CLASSES)
    assert [name for name, value in ill["labels"].items() if value] == ["Consolidation", "Effusion"]
    loader = LoadStructures(list(CHESTX_DET_CLASSES))
    mask, annotated = loader(ill, (40, 48))
    sums = dict(zip(CHESTX_DET_CLASSES, mask.sum(dim=(1, 2)).tolist()))
    assert sums["Effusion"] == 9 + 4
    assert sums["Consolidation"] == 9
    assert sum(sums.values()) == 22
    assert annotated.all()
    assert loader(healthy, (40, 48))[0].sum() == 0


def test_both_parts_are_official(folder: Path) -> None:
    sections = read_set("chestx_det", folder, validation=0.0)
    assert [item["patient"] for item in sections["training"]] == ["36200", "36204"]
    assert [item["patient"] for item in sections["test"]] == ["36199"]
    assert sections["test"][0]["image"] == str(folder / "test_data" / "test" / "36199.png")


def test_what_is_not_the_sets_is_named(folder: Path, save_json: Make) -> None:
    path = folder / "ChestX_Det_train.json"
    save_json(path, [{**TRAIN[1], "syms": ["Effusion", "Cold", "Effusion"]}])
    with pytest.raises(
        ValueError, match=r"image '36204.png' has the finding 'Cold'; known are Atelectasis, Calcification"
    ):
        read_set("chestx_det", folder)
    for content in ([{**TRAIN[1], "syms": ["Effusion"]}], [{"file_name": "a.png"}], {"a": 1}, ["a"]):
        save_json(path, content)
        with pytest.raises(ValueError, match=r"must be a list of entries file_name, syms and as many polygons"):
            read_set("chestx_det", folder)
    save_json(path, [*TRAIN, {"file_name": "1.png", "syms": [], "polygons": []}])
    with pytest.raises(ValueError, match=r"1 of 3 images of .*ChestX_Det_train.json' are not there"):
        read_set("chestx_det", folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no 'ChestX_Det_train.json' or 'train.json'"):
        read_set("chestx_det", folder)
