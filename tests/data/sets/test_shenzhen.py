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


@pytest.fixture
def folder(tmp_path: Path, picture: Make) -> Path:
    """The archive packs its folder twice; the masks are a download of their own."""
    inner = tmp_path / "ChinaSet_AllFiles" / "ChinaSet_AllFiles"
    for name, text in (("CHNCXR_0001_0", "normal"), ("CHNCXR_0002_0", "normal"), ("CHNCXR_0327_1", "STB")):
        picture(inner / "CXR_png" / f"{name}.png")
        (inner / "ClinicalReadings").mkdir(exist_ok=True)
        (inner / "ClinicalReadings" / f"{name}.txt").write_text(f"male 45yrs\n{text}\n")
    (inner / "NLM-ChinaCXRSet-ReadMe.docx").write_bytes(b"x")
    for name in ("CHNCXR_0001_0", "CHNCXR_0327_1", "CHNCXR_0400_1"):
        picture(tmp_path / "mask" / "mask" / f"{name}_mask.png", block=(slice(3, 20), slice(5, 40)))
    return tmp_path


def test_images_have_the_label_of_their_name_and_the_mask_where_there_is_one(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    items = read_set("shenzhen", folder, validation=0.0)["training"]
    assert [(item["patient"], item["labels"]["tuberculosis"]) for item in items] == [
        ("CHNCXR_0001_0", 0),
        ("CHNCXR_0002_0", 0),
        ("CHNCXR_0327_1", 1),
    ]
    assert [item.get("masks") for item in items] == [
        {"lungs": str(folder / "mask/mask/CHNCXR_0001_0_mask.png")},
        None,
        {"lungs": str(folder / "mask/mask/CHNCXR_0327_1_mask.png")},
    ]
    assert "1 images have no lung mask (first: CHNCXR_0002_0)" in caplog.text


def test_masks_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    items = read_set("shenzhen", folder / "ChinaSet_AllFiles", masks=str(folder / "mask"), validation=0.0)["training"]
    assert sum("masks" in item for item in items) == 2
    items = read_set("shenzhen", folder / "ChinaSet_AllFiles", validation=0.0)["training"]
    assert sum("masks" in item for item in items) == 0


def test_a_folder_without_images_or_masks_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"has no mask such as CHNCXR_0001_0_mask.png; give the folder of the mask"
    ):
        read_set("shenzhen", folder, masks=str(folder / "ChinaSet_AllFiles"))
    with pytest.raises(FileNotFoundError, match=r"has no 'CXR_png' \(images of Shenzhen\)"):
        read_set("shenzhen", folder / "mask")
    (tmp_path / "other" / "CXR_png").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has no image such as CXR_png/CHNCXR_0001_0.png"):
        read_set("shenzhen", tmp_path / "other")
