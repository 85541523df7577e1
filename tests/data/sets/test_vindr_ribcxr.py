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
from monai_lamps.data.sets.vindr_ribcxr import RIBS
from monai_lamps.transforms.load_structures import LoadStructures

Make = Callable[..., Any]


def outlines(part: str, number: int) -> dict[str, Any]:
    """The JSON of the set: a table by columns; rib k is a square at column 2 k."""
    names = {str(n): f"data/{part}/img/VinDr_RibCXR_{part}_{n:03d}.png" for n in range(number)}
    content: dict[str, Any] = {"img": names}
    for k, rib in enumerate(RIBS):
        square = [{"x": 2.0 * k + dx, "y": 5.0 + dy} for dx, dy in ((0, 0), (2, 0), (2, 2), (0, 2))]
        content[rib] = {str(n): square for n in range(number)}
    return content


@pytest.fixture
def folder(tmp_path: Path, picture: Make, save_json: Make) -> Path:
    root = tmp_path / "VinDr-RibCXR_Dataset"
    for part, number in (("train", 3), ("val", 2)):
        for n in range(number):
            picture(root / "Data" / part / "img" / f"VinDr_RibCXR_{part}_{n:03d}.png")
        save_json(root / "Annotations" / part / f"Vindr_RibCXR_{part}_mask.json", outlines(part, number))
    return tmp_path


def test_twenty_ribs_are_drawn_where_their_outlines_are(folder: Path) -> None:
    item = read_set("vindr_ribcxr", folder, validation=0.0)["training"][0]
    assert list(item["polygons"]) == list(RIBS.values())
    assert len(RIBS) == 20
    assert item["image"].endswith("Data/train/img/VinDr_RibCXR_train_000.png")
    mask, _ = LoadStructures(list(RIBS.values()))(item, (40, 48))
    assert mask.sum(dim=(1, 2)).tolist() == [4] * 20
    assert mask[list(RIBS.values()).index("left rib 1"), 5:7, 20:22].all()


def test_the_official_val_part_is_the_test_or_the_validation(folder: Path) -> None:
    sections = read_set("vindr_ribcxr", folder, validation=0.3)
    assert [item["patient"] for item in sections["test"]] == ["VinDr_RibCXR_val_000", "VinDr_RibCXR_val_001"]
    assert len(sections["training"]) + len(sections["validation"]) == 3
    sections = read_set("vindr_ribcxr", folder, val_as="validation")
    assert [len(rows) for rows in sections.values()] == [3, 2]
    with pytest.raises(ValueError, match=r"val_as must be one of test, validation, got 'val'"):
        read_set("vindr_ribcxr", folder, val_as="val")


@pytest.mark.parametrize("nothing", [None, "None", [], float("nan")])
def test_a_rib_without_an_outline_is_not_there(
    folder: Path, save_json: Make, caplog: pytest.LogCaptureFixture, nothing: Any
) -> None:
    caplog.set_level(logging.INFO)
    content = outlines("train", 3)
    content["R10"]["1"] = nothing
    save_json(folder / "VinDr-RibCXR_Dataset/Annotations/train/Vindr_RibCXR_train_mask.json", content)
    item = read_set("vindr_ribcxr", folder, validation=0.0)["training"][1]
    assert item["polygons"]["right rib 10"] == []
    assert "1 ribs have no outline: taken as not there (first: right rib 10 of VinDr_RibCXR_train_001)" in caplog.text


def test_a_file_of_another_layout_is_refused(folder: Path, save_json: Make) -> None:
    path = folder / "VinDr-RibCXR_Dataset/Annotations/train/Vindr_RibCXR_train_mask.json"
    content = outlines("train", 3)
    content["L2"]["0"] = "1 2 3"
    save_json(path, content)
    with pytest.raises(
        ValueError, match=r"L2 of 'data/train/img/VinDr_RibCXR_train_000.png' .* must be a list of points"
    ):
        read_set("vindr_ribcxr", folder)
    del content["L2"]
    save_json(path, content)
    with pytest.raises(ValueError, match=r"train_mask.json' has no 'L2'; expected img, R1 ... R10 and L1 ... L10"):
        read_set("vindr_ribcxr", folder)
    save_json(path, [content])
    with pytest.raises(ValueError, match=r"train_mask.json' has no entries; expected img"):
        read_set("vindr_ribcxr", folder)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"train_mask.json' is not valid JSON .*download it again"):
        read_set("vindr_ribcxr", folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"'Vindr_RibCXR_train_mask.json'.* .outlines of VinDr-RibCXR."):
        read_set("vindr_ribcxr", folder)


def test_two_copies_of_an_image_are_refused(folder: Path, picture: Make) -> None:
    picture(folder / "small" / "VinDr_RibCXR_train_000.png")
    with pytest.raises(
        ValueError, match=r"'VinDr_RibCXR_train_000.png' lies both at .* and at .*; move one of the copies"
    ):
        read_set("vindr_ribcxr", folder)
