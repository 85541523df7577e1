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

from monai_lamps.data.lists import XRAY14_CLASSES
from monai_lamps.data.sets import read_set

Make = Callable[..., Any]

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
ROWS = [
    "00000001_000.png,Cardiomegaly,0,1,58,M,PA,2682,2749,0.14300000000000002,0.14300000000000002,",
    "00000001_001.png,Cardiomegaly|Pleural_Thickening,1,1,58,M,PA,2894,2729,0.143,0.143,",
    "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,",
    "00000003_000.png,Hernia,0,3,81,F,PA,2582,2991,0.143,0.143,",
    "00000004_000.png,No Finding,0,4,81,F,AP,2582,2991,0.143,0.143,",
]


@pytest.fixture
def folder(tmp_path: Path, picture: Make, table: Make) -> Path:
    table(tmp_path / "Data_Entry_2017.csv", HEADER, ROWS)
    for number, row in enumerate(ROWS):
        picture(tmp_path / f"images_00{1 + number // 3}" / "images" / row.split(",")[0])
    names = [row.split(",")[0] for row in ROWS]
    (tmp_path / "train_val_list.txt").write_text("\n".join(names[:3]))  # the original has no last newline
    (tmp_path / "test_list.txt").write_text("\r\n".join(names[3:]) + "\r\n")
    return tmp_path


def test_the_official_test_part_is_kept_and_patients_are_never_split(folder: Path) -> None:
    drawn = []
    for seed in range(8):
        sections = read_set("chestxray14", folder, validation=0.5, seed=seed)
        assert {item["patient"] for item in sections["test"]} == {"3", "4"}
        parts = [{item["patient"] for item in sections[name]} for name in ("training", "validation")]
        assert parts[0] | parts[1] == {"1", "2"}
        assert not parts[0] & parts[1]
        drawn.append(bool(parts[1]))
    assert any(drawn)


def test_findings_become_fourteen_labels(folder: Path) -> None:
    sections = read_set("chestxray14", folder)
    items = {Path(item["image"]).name: item for rows in sections.values() for item in rows}
    assert list(items["00000001_001.png"]["labels"]) == list(XRAY14_CLASSES)
    positive = {name: [c for c, value in item["labels"].items() if value] for name, item in items.items()}
    assert positive["00000001_001.png"] == ["Cardiomegaly", "Pleural_Thickening"]
    assert positive["00000002_000.png"] == []
    assert positive["00000003_000.png"] == ["Hernia"]
    assert items["00000003_000.png"]["image"] == str(folder / "images_002" / "images" / "00000003_000.png")


def test_images_may_lie_in_one_folder_and_the_table_may_be_that_of_2020(folder: Path) -> None:
    (folder / "Data_Entry_2017.csv").rename(folder / "Data_Entry_2017_v2020.csv")
    (folder / "images").mkdir()
    for path in sorted(folder.glob("images_0*/images/*.png")):
        path.rename(folder / "images" / path.name)
    for path in folder.glob("images_0*"):
        (path / "images").rmdir()
        path.rmdir()
    assert len(read_set("chestxray14", folder)["test"]) == 2


def test_images_that_were_not_downloaded_are_left_out_and_counted_up_to_a_share(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (folder / "images_002" / "images" / "00000004_000.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 5 images of '.*Data_Entry_2017.csv' are not there, more than .*5%"):
        read_set("chestxray14", folder)
    assert [item["patient"] for item in read_set("chestxray14", folder, max_missing=0.2)["test"]] == ["3"]
    assert "1 of 5 images of" in caplog.text
    assert "00000004_000.png" in caplog.text


def test_all_images_missing_is_an_error_at_any_share(folder: Path) -> None:
    for path in folder.glob("images_0*/images/*.png"):
        path.rename(path.with_name("0" + path.name))
    with pytest.raises(ValueError, match=r"5 of 5 images"):
        read_set("chestxray14", folder, max_missing=1.0)
    for path in folder.glob("images_0*/images/*.png"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no images in images_001/images/ ... or images/; unpack"):
        read_set("chestxray14", folder)


def test_lists_are_needed_unless_the_official_split_is_given_up(folder: Path) -> None:
    (folder / "test_list.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"test_list.txt' does not exist; download it .*or set official to false"
    ):
        read_set("chestxray14", folder)
    assert "test" not in read_set("chestxray14", folder, official=False)


def test_images_in_neither_list_are_left_out_up_to_a_share(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (folder / "test_list.txt").write_text("00000003_000.png\n")
    with pytest.raises(ValueError, match=r"1 of 5 images of .* are neither in train_val_list.txt nor in test_list.txt"):
        read_set("chestxray14", folder)
    assert len(read_set("chestxray14", folder, max_missing=0.2)["test"]) == 1
    assert "1 images are in neither of the lists and left out (first: 00000004_000.png)" in caplog.text


def test_a_patient_in_both_lists_is_refused(folder: Path) -> None:
    (folder / "train_val_list.txt").write_text("00000001_000.png\n00000002_000.png\n")
    (folder / "test_list.txt").write_text("00000001_001.png\n00000003_000.png\n00000004_000.png\n")
    with pytest.raises(
        ValueError, match=r"patient '1' of set 'chestxray14' has images in the official part 'test' and"
    ):
        read_set("chestxray14", folder)


def test_a_share_of_test_beside_the_official_one_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"set 'chestxray14' has an official test part; leave test at 0, got 0.2"):
        read_set("chestxray14", folder, test=0.2)
    with pytest.raises(ValueError, match=r"max_missing must be a share in .0, 1., got 2"):
        read_set("chestxray14", folder, max_missing=2)


def test_an_unknown_finding_and_an_absent_column_are_named(folder: Path, table: Make) -> None:
    table(folder / "Data_Entry_2017.csv", HEADER, [ROWS[0].replace("Cardiomegaly", "Big heart"), *ROWS[1:]])
    with pytest.raises(
        ValueError, match=r"image '00000001_000.png' has the finding 'Big heart'; known are Atelectasis"
    ):
        read_set("chestxray14", folder)
    table(folder / "Data_Entry_2017.csv", HEADER.replace("Patient ID", "ID"), ROWS)
    with pytest.raises(
        ValueError, match=r"Data_Entry_2017.csv' has no column 'Patient ID'; it has Image Index, Finding"
    ):
        read_set("chestxray14", folder)
