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

import numpy as np
import pytest

from monai_lamps.data.sets import read_set
from monai_lamps.transforms.load_structures import LoadStructures

Make = Callable[..., Any]

ID = "1.2.276.0.7230010.3.1.4.8323329.{}.1517875160.{}"
ROWS = [  # the original has a space after the comma, and the run lengths are relative
    f"{ID.format(1, 1)}, -1",
    f"{ID.format(2, 2)}, 1024 2 1022 3",
    f"{ID.format(3, 3)}, 0 1",
    f"{ID.format(3, 3)}, 2050 4",
]


@pytest.fixture
def folder(tmp_path: Path, film: Make, table: Make) -> Path:
    table(tmp_path / "train-rle.csv", "ImageId, EncodedPixels", ROWS)
    for number, patient in ((1, "a"), (2, "a"), (3, "b"), (4, "b")):
        study = ID.format(number, number).replace(".4.8", ".2.8")
        path = (
            tmp_path / "dicom-images-train" / study / study.replace(".2.8", ".3.8") / f"{ID.format(number, number)}.dcm"
        )
        film(path, patient=patient)
    return tmp_path


def test_relative_run_lengths_go_down_the_columns(folder: Path) -> None:
    items = read_set("siim_acr", folder, validation=0.0)["training"]
    assert [item["labels"]["pneumothorax"] for item in items] == [0, 1, 1]
    loader = LoadStructures(["pneumothorax"])
    masks = [loader(item, (1024, 1024))[0][0].numpy() for item in items]
    assert masks[0].sum() == 0
    # 1024 pixels of the first column are skipped, two are set, 1022 skipped, three set: columns 1 and 2 from row 0
    assert np.argwhere(masks[1]).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]
    # the union of two collections
    assert np.argwhere(masks[2]).tolist() == [[0, 0], [2, 2], [3, 2], [4, 2], [5, 2]]


def test_the_patient_is_that_of_the_dicom_header(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert [item["patient"] for item in read_set("siim_acr", folder, validation=0.0)["training"]] == ["a", "a", "b"]
    assert f"1 images are not in the table and left out (first: {ID.format(4, 4)})" in caplog.text


def test_headers_that_do_not_tell_patients_apart_do_not_make_one_patient(
    tmp_path: Path, film: Make, table: Make
) -> None:
    table(tmp_path / "stage_2_train.csv", "ImageId,EncodedPixels", ["ID_1,-1", "ID_2,-1", "ID_3,-1"])
    for number in (1, 2):
        film(tmp_path / "stage_2_images" / f"ID_{number}.dcm", patient="same")
    (tmp_path / "stage_2_images" / "ID_3.dcm").write_bytes(b"damaged")
    items = read_set("siim_acr", tmp_path, validation=0.0)["training"]
    assert [item["patient"] for item in items] == ["ID_1", "ID_2", "ID_3"]


@pytest.mark.parametrize("text", ["1 2 3", "1 -2", "", "a b", "1048576 1", "-1 -1"])
def test_run_lengths_that_are_none_are_refused(folder: Path, table: Make, text: str) -> None:
    table(folder / "train-rle.csv", "ImageId, EncodedPixels", [*ROWS[:2], f"{ID.format(3, 3)}, {text}"])
    with pytest.raises(ValueError, match=r"image '1.2.276.* has the run lengths '.*'; expected -1 alone, or pairs of"):
        read_set("siim_acr", folder)


def test_no_pneumothorax_and_a_mask_at_once_is_refused(folder: Path, table: Make) -> None:
    table(folder / "train-rle.csv", "ImageId, EncodedPixels", [*ROWS, f"{ID.format(3, 3)}, -1"])
    with pytest.raises(ValueError, match=r"has the run lengths '-1'; expected -1 alone"):
        read_set("siim_acr", folder)


def test_missing_images_and_columns_are_named(folder: Path, table: Make) -> None:
    table(folder / "train-rle.csv", "ImageId, EncodedPixels", [*ROWS, "1.2.3, -1"])
    with pytest.raises(ValueError, match=r"1 of 4 images of '.*train-rle.csv' are not there.*\(first: 1.2.3\)"):
        read_set("siim_acr", folder)
    assert len(read_set("siim_acr", folder, max_missing=0.25, validation=0.0)["training"]) == 3
    table(folder / "train-rle.csv", "ImageId,Pixels", ["1.2.3,-1"])
    with pytest.raises(ValueError, match=r"train-rle.csv' has no column 'EncodedPixels'; it has ImageId, Pixels"):
        read_set("siim_acr", folder)
