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
from monai_lamps.transforms.load_structures import LoadStructures

Make = Callable[..., Any]
NAMES = ("MCUCXR_0001_0", "MCUCXR_0002_0", "MCUCXR_0104_1", "MCUCXR_0108_1")
LEFT_OF_IMAGE, RIGHT_OF_IMAGE = (slice(5, 30), slice(4, 20)), (slice(5, 30), slice(28, 44))


def make_set(folder: Path, picture: Make, left: Any = RIGHT_OF_IMAGE, right: Any = LEFT_OF_IMAGE) -> Path:
    inner = folder / "MontgomerySet"
    for name in NAMES:
        picture(inner / "CXR_png" / f"{name}.png")
        picture(inner / "ManualMask" / "leftMask" / f"{name}.png", block=left)
        picture(inner / "ManualMask" / "rightMask" / f"{name}.png", block=right)
        reading = inner / "ClinicalReadings" / f"{name}.txt"
        reading.parent.mkdir(exist_ok=True)
        reading.write_text("Patient's Sex: F\nPatient's Age: 027Y\nnormal\n")
    (inner / "CXR_png" / "Thumbs.db").write_bytes(b"x")
    return folder


def test_images_have_both_lungs_and_the_label_of_their_name(tmp_path: Path, picture: Make) -> None:
    folder = make_set(tmp_path, picture)
    sections = read_set("montgomery", folder, validation=0.25)
    items = {item["patient"]: item for section in sections.values() for item in section}
    assert sorted(items) == list(NAMES)
    assert len(sections["validation"]) >= 1
    assert "test" not in sections
    assert [items[name]["labels"]["tuberculosis"] for name in NAMES] == [0, 0, 1, 1]
    inner = folder / "MontgomerySet"
    assert items[NAMES[0]]["image"] == str(inner / "CXR_png" / f"{NAMES[0]}.png")
    assert items[NAMES[0]]["masks"]["left lung"] == str(inner / "ManualMask/leftMask" / f"{NAMES[0]}.png")


@pytest.mark.parametrize("swapped", [False, True])
def test_left_and_right_are_the_patients_whatever_the_folders_call_them(
    tmp_path: Path, picture: Make, swapped: bool
) -> None:
    sides = (LEFT_OF_IMAGE, RIGHT_OF_IMAGE) if swapped else (RIGHT_OF_IMAGE, LEFT_OF_IMAGE)
    item = read_set("montgomery", make_set(tmp_path, picture, *sides))["training"][0]
    mask, _ = LoadStructures(["left lung", "right lung"])(item, (40, 48))
    assert mask[0, 10, 30] == 1
    assert mask[1, 10, 10] == 1
    assert mask.sum() == 2 * 25 * 16


def test_an_image_that_lacks_a_mask_is_counted_up_to_a_share(
    tmp_path: Path, picture: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = make_set(tmp_path, picture)
    (folder / "MontgomerySet/ManualMask/leftMask/MCUCXR_0002_0.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 images of .* lack a mask of a lung.*5% \(first: MCUCXR_0002_0\)"):
        read_set("montgomery", folder)
    sections = read_set("montgomery", folder, max_missing=0.25, validation=0.0)
    assert list(sections["training"][1]["masks"]) == ["right lung"]
    assert "1 images lack a mask of a lung, which is then not annotated (first: MCUCXR_0002_0)" in caplog.text


def test_a_folder_that_is_not_the_set_is_refused(tmp_path: Path, picture: Make) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no 'CXR_png' \(images of Montgomery\)"):
        read_set("montgomery", tmp_path)
    picture(tmp_path / "CXR_png" / "other.png")
    with pytest.raises(ValueError, match=r"has no image such as CXR_png/MCUCXR_0001_0.png; download Montgomery"):
        read_set("montgomery", tmp_path)
