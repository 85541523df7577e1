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
from monai_lamps.data.sets.chexpert import CHEXPERT_CLASSES

Make = Callable[..., Any]

HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(CHEXPERT_CLASSES)
TRAIN = [
    "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
    "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
    "CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,1.0,,,-1.0,,,,,,1.0,",
]
VALID = [
    "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"
]


@pytest.fixture
def folder(tmp_path: Path, picture: Make, table: Make) -> Path:
    root = tmp_path / "CheXpert-v1.0-small"
    table(root / "train.csv", HEADER, TRAIN)
    table(root / "valid.csv", HEADER, VALID)
    for row in TRAIN + VALID:
        picture(tmp_path / row.split(",")[0])
    return tmp_path


def labels(folder: Path, name: str, **options: Any) -> dict[str, int]:
    """The labels of the first image of a patient."""
    items = [item for rows in read_set("chexpert", folder, **options).values() for item in rows]
    return next(item["labels"] for item in items if name in item["image"])


def test_the_first_folder_of_the_paths_may_have_any_name(folder: Path) -> None:
    renamed = (folder / "CheXpert-v1.0-small").rename(folder / "chexpert")
    sections = read_set("chexpert", renamed, validation=0.5)
    images = {item["image"] for rows in sections.values() for item in rows}
    assert str(folder / "chexpert/train/patient00001/study1/view1_frontal.jpg") in images
    assert len(images) == 4


def test_the_patient_is_in_the_path_and_the_valid_part_is_the_test(folder: Path) -> None:
    sections = read_set("chexpert", folder, validation=0.5)
    assert [item["patient"] for item in sections["test"]] == ["patient64541"]
    drawn = [{item["patient"] for item in sections[name]} for name in ("training", "validation")]
    assert sorted(map(sorted, drawn)) == [["patient00001"], ["patient00002"]]


def test_the_valid_part_may_stay_the_validation(folder: Path) -> None:
    sections = read_set("chexpert", folder, valid_as="validation")
    assert len(sections["training"]) == 3
    assert [item["patient"] for item in sections["validation"]] == ["patient64541"]
    assert "test" not in sections


@pytest.fixture
def held_out(tmp_path: Path, picture: Make, table: Make) -> Path:
    """The official test part as CheXlocalize has it: no column of views, paths from ``test/`` on."""
    root = tmp_path / "elsewhere" / "chexlocalize" / "CheXpert"
    paths = [f"test/patient64741/study1/view1_{view}.jpg" for view in ("frontal", "lateral")]
    table(root / "test_labels.csv", f"Path,{','.join(CHEXPERT_CLASSES)}", [f"{path},{'0,' * 13}1" for path in paths])
    for path in paths:
        picture(root / path)
    return tmp_path / "elsewhere"


def test_the_official_test_part_is_the_test_and_the_valid_part_then_the_validation(
    folder: Path, held_out: Path
) -> None:
    sections = read_set("chexpert", folder / "CheXpert-v1.0-small", test_set=str(held_out))
    assert [len(sections[name]) for name in ("training", "validation", "test")] == [3, 1, 2]
    item = sections["test"][0]
    assert item["image"] == str(held_out / "chexlocalize/CheXpert/test/patient64741/study1/view1_frontal.jpg")
    assert item["patient"] == "patient64741"
    assert [name for name, value in item["labels"].items() if value] == ["Support Devices"]
    frontal = read_set("chexpert", folder / "CheXpert-v1.0-small", test_set=str(held_out), views="frontal")
    assert [len(frontal[name]) for name in ("training", "validation", "test")] == [2, 1, 1]


def test_two_official_parts_cannot_both_be_the_test(folder: Path, held_out: Path) -> None:
    with pytest.raises(ValueError, match="valid_as got 'test', but test_set is the test section; give valid_as=valid"):
        read_set("chexpert", folder / "CheXpert-v1.0-small", test_set=str(held_out), valid_as="test")
    with pytest.raises(FileNotFoundError, match=r"has no 'test_labels.csv' \(test table of CheXpert\)"):
        read_set("chexpert", folder / "CheXpert-v1.0-small", test_set=str(folder / "CheXpert-v1.0-small" / "train"))


@pytest.mark.parametrize(
    ("options", "uncertain", "blank"),
    [({}, -1, 0), ({"uncertain": "positive"}, 1, 0), ({"uncertain": "negative", "blank": "unknown"}, 0, -1)],
)
def test_the_policies_say_what_uncertain_and_blank_mean(
    folder: Path, options: dict[str, str], uncertain: int, blank: int
) -> None:
    found = labels(folder, "patient00002/study2", **options)
    assert found["Cardiomegaly"] == found["Edema"] == uncertain
    assert found["No Finding"] == found["Support Devices"] == blank
    assert found["Lung Opacity"] == found["Fracture"] == 1
    assert labels(folder, "patient00001", **options)["Pneumothorax"] == 0
    assert list(found) == list(CHEXPERT_CLASSES)


@pytest.mark.parametrize(("views", "number"), [("all", 3), ("frontal", 2), ("lateral", 1)])
def test_views_may_be_chosen(folder: Path, views: str, number: int) -> None:
    assert len(read_set("chexpert", folder, views=views, validation=0.0)["training"]) == number


def test_the_full_version_lies_in_four_folders(tmp_path: Path, picture: Make, table: Make) -> None:
    first = tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)"
    table(first / "train.csv", HEADER, [row.replace("-small", "") for row in TRAIN])
    table(first / "valid.csv", HEADER, [row.replace("-small", "") for row in VALID])
    picture(first / "valid/patient64541/study1/view1_frontal.jpg")
    picture(tmp_path / "CheXpert-v1.0 batch 2 (train 1)/patient00001/study1/view1_frontal.jpg")
    picture(tmp_path / "CheXpert-v1.0 batch 3 (train 2)/patient00002/study2/view1_frontal.jpg")
    picture(tmp_path / "CheXpert-v1.0 batch 3 (train 2)/patient00002/study1/view2_lateral.jpg")
    sections = read_set("chexpert", tmp_path, validation=0.0)
    assert [Path(item["image"]).parts[-4] for item in sections["training"]] == [
        "CheXpert-v1.0 batch 2 (train 1)",
        "CheXpert-v1.0 batch 3 (train 2)",
        "CheXpert-v1.0 batch 3 (train 2)",
    ]
    assert len(sections["test"]) == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"uncertain": "ones"}, "uncertain must be one of unknown, positive, negative, got 'ones'"),
        ({"blank": "positive"}, "blank must be one of negative, unknown, got 'positive'"),
        ({"views": "AP"}, "views must be one of all, frontal, lateral, got 'AP'"),
        ({"valid_as": "training"}, "valid_as must be one of test, validation, got 'training'"),
    ],
)
def test_unknown_options_are_refused(folder: Path, option: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_set("chexpert", folder, **option)


def test_a_value_or_a_path_that_is_not_the_sets_is_named(folder: Path, table: Make) -> None:
    path = folder / "CheXpert-v1.0-small/train.csv"
    table(path, HEADER, [TRAIN[0].replace("1.0,,", "yes,,"), *TRAIN[1:]])
    with pytest.raises(
        ValueError, match=r"'No Finding' of 'CheXpert-v1.0-small/train/patient00001.* is 'yes', expected 0 or"
    ):
        read_set("chexpert", folder)
    table(path, HEADER, [TRAIN[0].replace("patient00001", "p1")])
    with pytest.raises(ValueError, match=r"names no patient, such as patient00001"):
        read_set("chexpert", folder)


def test_missing_tables_and_images_are_named(folder: Path) -> None:
    (folder / "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 images of .*train.csv' are not there.*patient00001"):
        read_set("chexpert", folder)
    (folder / "CheXpert-v1.0-small/valid.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"valid.csv' does not exist; download it with the set"):
        read_set("chexpert", folder, max_missing=0.5)
