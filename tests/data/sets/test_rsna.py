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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data.sets import read_set

Make = Callable[..., Any]

LABELS = [
    "0004cfab-14fd-4e49-80ba-63a80b6bddd6,,,,,0",
    "00313ee0-9eaa-42f4-b0ab-c148ed3241cd,,,,,0",
    "00436515-870c-4b36-a041-de91049b9ab4,264.0,152.0,213.0,379.0,1",
    "00436515-870c-4b36-a041-de91049b9ab4,562.0,152.0,256.0,453.0,1",
]
CLASSES = [
    "0004cfab-14fd-4e49-80ba-63a80b6bddd6,No Lung Opacity / Not Normal",
    "00313ee0-9eaa-42f4-b0ab-c148ed3241cd,Normal",
    "00436515-870c-4b36-a041-de91049b9ab4,Lung Opacity",
    "00436515-870c-4b36-a041-de91049b9ab4,Lung Opacity",
]


@pytest.fixture
def folder(tmp_path: Path, film: Make, table: Make) -> Path:
    table(tmp_path / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", LABELS)
    table(tmp_path / "stage_2_detailed_class_info.csv", "patientId,class", CLASSES)
    for row in LABELS:
        name = row.split(",")[0]
        film(tmp_path / "stage_2_train_images" / f"{name}.dcm", patient=name)
    film(tmp_path / "stage_2_test_images" / "0000a175-0e68-4ca4-b1af-167204a7e0bc.dcm")
    return tmp_path


def test_an_image_with_several_boxes_is_one_item_with_its_classes(folder: Path) -> None:
    items = read_set("rsna", folder, validation=0.0)["training"]
    assert [list(item["labels"].values()) for item in items] == [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 1]]
    assert list(items[0]["labels"]) == ["pneumonia", "Normal", "No Lung Opacity / Not Normal", "Lung Opacity"]
    assert items[2]["image"] == str(folder / "stage_2_train_images" / f"{LABELS[2].split(',')[0]}.dcm")


def test_patients_are_those_of_chestxray14_where_the_mapping_tells_them(folder: Path, save_json: Make) -> None:
    names = [row.split(",")[0] for row in LABELS[:3]]
    mapping = [{"subset_img_id": name, "img_id": f"0000000{n // 2}_00{n}.png"} for n, name in enumerate(names)]
    save_json(
        folder / "pneumonia-challenge-dataset-mappings_2018.json", [*mapping, {"subset_img_id": "", "img_id": "x"}]
    )
    sections = read_set("rsna", folder, validation=0.5)
    patients = [[item["patient"] for item in sections[name]] for name in ("training", "validation")]
    assert sorted(patients) == [["00000000", "00000000"], ["00000001"]]
    save_json(folder / "pneumonia-challenge-dataset-mappings_2018.json", {"a": 1})
    with pytest.raises(
        ValueError, match=r"mappings_2018.json' must be a list with the entries subset_img_id and img_id"
    ):
        read_set("rsna", folder)


def test_without_the_mapping_the_log_says_that_patients_are_unknown(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    items = read_set("rsna", folder, validation=0.0)["training"]
    assert items[0]["patient"] == "0004cfab-14fd-4e49-80ba-63a80b6bddd6"
    assert "patients are unknown, so each image counts as one" in caplog.text


def test_an_image_without_a_known_class_is_refused(folder: Path, table: Make) -> None:
    table(folder / "stage_2_detailed_class_info.csv", "patientId,class", CLASSES[1:])
    with pytest.raises(ValueError, match=r"image '0004cfab-.*' has the class 'None'; expected one of Normal, No Lung"):
        read_set("rsna", folder)


def test_missing_parts_of_the_set_are_named(folder: Path, table: Make) -> None:
    (folder / "stage_2_train_images" / "00313ee0-9eaa-42f4-b0ab-c148ed3241cd.dcm").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 images of .*stage_2_train_labels.csv' are not there.*00313ee0"):
        read_set("rsna", folder)
    table(folder / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", ["a,,,,,yes"])
    table(folder / "stage_2_detailed_class_info.csv", "patientId,class", ["a,Normal"])
    with pytest.raises(ValueError, match=r"Target of 'a' in .* is 'yes', expected 0 or 1"):
        read_set("rsna", folder)
    (folder / "stage_2_detailed_class_info.csv").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"has no 'stage_2_detailed_class_info.csv' .classes of RSNA pneumonia."
    ):
        read_set("rsna", folder)
