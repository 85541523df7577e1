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
"""ChestX-ray14 of the NIH."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from monai_lamps.data.lists import XRAY14_CLASSES
from monai_lamps.data.sets.choices import drop_missing, log_count
from monai_lamps.data.sets.files import locate, read_table

__all__ = ["read_chestxray14"]

_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
_FOLDERS = ("images_0*/images", "images_0*", "images")


def read_chestxray14(folder: Path, *, max_missing: float = 0.05, official: bool = True) -> list[dict[str, Any]]:
    """ChestX-ray14: 112,120 chest radiographs of 30,805 patients, 14 findings mined from reports.

    The set is ``Data_Entry_2017.csv`` (or its version of 2020), ``train_val_list.txt``, ``test_list.txt`` and the
    images, unpacked to ``images_001/images/`` ... ``images_012/images/`` or to one folder ``images/``. ``No Finding``
    means 0 for all findings. Patients of ``test_list.txt`` are the test part; validation is drawn from the others.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.
        official: keep the official test part; without it the two lists are not needed.

    Returns:
        items with ``labels``.

    Raises:
        FileNotFoundError: when the table, a list or the images are missing.
        ValueError: for a table without the columns, an unknown finding, or too many missing images.
    """
    table = locate(folder, _TABLES, "table of ChestX-ray14")
    rows = read_table(table, _COLUMNS)
    images = _images(table.parent)
    parts = _parts(table.parent) if official else {}
    unlisted = [row["Image Index"] for row in rows if official and row["Image Index"] not in parts]
    if len(unlisted) > max_missing * len(rows):
        raise ValueError(
            f"{len(unlisted)} of {len(rows)} images of '{table}' are neither in train_val_list.txt nor in "
            f"test_list.txt (first: {', '.join(unlisted[:3])}); download both lists again, or set official to false."
        )
    log_count(unlisted, "images are in neither of the lists and left out")
    listed = [row for row in rows if not official or row["Image Index"] in parts]
    entries = ((row["Image Index"], images.get(row["Image Index"]), _rest(row, parts, table)) for row in listed)
    return drop_missing(entries, max_missing, f"'{table}'")


def _rest(row: dict[str, str], parts: dict[str, str], table: Path) -> dict[str, Any]:
    findings = row["Finding Labels"].split("|")
    if unknown := set(findings) - {*XRAY14_CLASSES, "No Finding"}:
        raise ValueError(
            f"table '{table}': image '{row['Image Index']}' has the finding '{sorted(unknown)[0]}'; known are "
            f"{', '.join(XRAY14_CLASSES)} and No Finding."
        )
    item = {"patient": row["Patient ID"], "labels": {name: int(name in findings) for name in XRAY14_CLASSES}}
    return {**item, "split": "test"} if parts.get(row["Image Index"]) == "test" else item


def _images(folder: Path) -> dict[str, Path]:
    """The images by name, from the first of the known places that has any."""
    for pattern in _FOLDERS:
        found = {
            name: place / name
            for place in sorted(folder.glob(pattern))
            for name in sorted(os.listdir(place))
            if name.endswith(".png")
        }
        if found:
            return found
    raise FileNotFoundError(
        f"'{folder}' has no images in images_001/images/ ... or images/; unpack the archives of images there."
    )


def _parts(folder: Path) -> dict[str, str]:
    """Official part of each image."""
    parts: dict[str, str] = {}
    for name, part in (("train_val_list.txt", "training"), ("test_list.txt", "test")):
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"'{path}' does not exist; download it (it holds the official split), or set official to false."
            )
        parts.update((line.strip(), part) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return parts
