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

Make = Callable[..., Any]

TRAIN = [
    "00150343289f317a0ad5629d5b7d9ef9,R9,1,0,1,0",
    "00150343289f317a0ad5629d5b7d9ef9,R11,1,0,0,0",
    "00150343289f317a0ad5629d5b7d9ef9,R10,0,0,0,0",
    "0005e8e3701dfb1dd93d53e2ff537b6e,R8,0,1,0,0",
    "0005e8e3701dfb1dd93d53e2ff537b6e,R9,0,1,0,0",
    "0005e8e3701dfb1dd93d53e2ff537b6e,R10,0,1,0,0",
]


@pytest.fixture
def folder(tmp_path: Path, film: Make, table: Make) -> Path:
    root = tmp_path / "vindr-cxr" / "1.0.0"
    table(
        root / "annotations" / "image_labels_train.csv",
        "image_id,rad_ID,Aortic enlargement,Nodule/Mass,Other diseases,No finding",
        TRAIN,
    )
    table(
        root / "annotations" / "image_labels_test.csv",
        "image_id,Aortic enlargement,Nodule/Mass,Other disease,No finding",
        ["002a34c58c5b758217ed1f584ccbcfe9,0,0,1,0"],
    )
    for row in TRAIN[::3]:
        film(root / "train" / f"{row.split(',')[0]}.dicom")
    film(root / "test" / "002a34c58c5b758217ed1f584ccbcfe9.dicom")
    return tmp_path


def labels(folder: Path, **options: Any) -> list[list[float]]:
    return [
        list(item["labels"].values()) for item in read_set("vindr_cxr", folder, validation=0.0, **options)["training"]
    ]


def test_both_parts_are_official_and_have_the_same_classes(folder: Path) -> None:
    sections = read_set("vindr_cxr", folder, validation=0.0)
    names = ["Aortic enlargement", "Nodule/Mass", "Other diseases", "No finding"]
    assert [list(item["labels"]) for rows in sections.values() for item in rows] == [names] * 3
    assert sections["test"][0]["labels"]["Other diseases"] == 1
    assert sections["test"][0]["image"].endswith("test/002a34c58c5b758217ed1f584ccbcfe9.dicom")


@pytest.mark.parametrize(
    ("consensus", "first"),
    [
        ("majority", [1, 0, 0, 0]),
        ("any", [1, 0, 1, 0]),
        ("all", [0, 0, 0, 0]),
        ("agreed", [-1, 0, -1, 0]),
        ("share", [2 / 3, 0, 1 / 3, 0]),
    ],
)
def test_three_radiologists_become_one_label(folder: Path, consensus: str, first: list[float]) -> None:
    assert labels(folder, consensus=consensus) == [first, [0, 1, 0, 0]]
    if consensus == "majority":
        assert labels(folder) == labels(folder, consensus=consensus)


def test_what_is_not_the_sets_is_named(folder: Path, table: Make) -> None:
    with pytest.raises(ValueError, match=r"consensus must be one of majority, any, all, agreed, share, got 'mean'"):
        read_set("vindr_cxr", folder, consensus="mean")
    path = folder / "vindr-cxr/1.0.0/annotations/image_labels_test.csv"
    table(path, "image_id,Aortic enlargement,No finding", ["002a34c58c5b758217ed1f584ccbcfe9,0,1"])
    with pytest.raises(
        ValueError, match=r"differ in the columns Nodule/Mass, Other diseases; take the original tables"
    ):
        read_set("vindr_cxr", folder)
    table(path, "image_id,No finding", ["002a34c58c5b758217ed1f584ccbcfe9,x"])
    with pytest.raises(
        ValueError, match=r"'No finding' of '002a34.*' in .*image_labels_test.csv' is 'x', expected 0 or 1"
    ):
        read_set("vindr_cxr", folder)
    table(path, "image_id,rad_id", ["002a34c58c5b758217ed1f584ccbcfe9,R1"])
    with pytest.raises(ValueError, match=r"image_labels_test.csv' has no column of labels"):
        read_set("vindr_cxr", folder)
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"has no 'annotations/image_labels_test.csv' or 'image_labels_test.csv'"
    ):
        read_set("vindr_cxr", folder)
