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
"""CheXpert of Stanford."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from monai_lamps.data.sets.choices import UNKNOWN, binary, check_choice, drop_missing
from monai_lamps.data.sets.files import locate, read_table

__all__ = ["CHEXPERT_CLASSES", "read_chexpert"]

#: the observations, in the order of the table
CHEXPERT_CLASSES = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
)  # fmt: skip
_PATIENT = re.compile(r"(patient\d+)")
_POLICIES = {"unknown": UNKNOWN, "positive": 1, "negative": 0}


def read_chexpert(
    folder: Path,
    *,
    max_missing: float = 0.05,
    uncertain: str = "unknown",
    blank: str = "negative",
    views: str = "all",
    valid_as: str | None = None,
    test_set: str | None = None,
) -> list[dict[str, Any]]:
    """CheXpert: 224,316 chest radiographs of 65,240 patients, 14 observations mined from reports.

    The set is ``train.csv``, ``valid.csv`` and the images below ``train/`` and ``valid/``, in the small version in one
    folder, in the full one in four (``CheXpert-v1.0 batch 1 (validate & csv)`` ...). The first folder of the paths in
    the tables (``CheXpert-v1.0-small/``) is passed over, so the folder may have any name. The patient is in the path.
    The official test part (668 images of 500 patients, a consensus of radiologists) is a download of its own, that of
    CheXlocalize: ``test_labels.csv`` beside ``test/``.

    Two policies have to be chosen for the tables' values. *Uncertain* (-1): ``unknown``, left out of the loss
    (published as U-Ignore); ``positive`` (U-Ones); ``negative`` (U-Zeros). *Blank*, an observation that the report does
    not mention: ``negative``, as the publications do, or ``unknown``. They hold for every observation.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.
        uncertain: what -1 means: unknown, positive or negative.
        blank: what an empty value means: negative or unknown.
        views: all, frontal or lateral.
        valid_as: the section that the official valid part becomes: "test", as most publications use it (validation is
            then drawn from the patients of ``train.csv``; the default without ``test_set``), or "validation" (the
            default with it).
        test_set: folder of ``test_labels.csv``, whose images become the test section.

    Returns:
        items with ``labels``.

    Raises:
        FileNotFoundError: when a table is missing.
        ValueError: for an unknown option, two parts that would both be the test section, a table without the columns,
            an unknown value, or too many missing images.
    """
    check_choice("uncertain", uncertain, tuple(_POLICIES))
    check_choice("blank", blank, ("negative", "unknown"))
    check_choice("views", views, ("all", "frontal", "lateral"))
    valid_as = valid_as or ("validation" if test_set else "test")
    check_choice("valid_as", valid_as, ("test", "validation"))
    if test_set and valid_as == "test":
        raise ValueError("valid_as got 'test', but test_set is the test section; give valid_as=validation or only one.")
    train = locate(folder, ["train.csv"], "table of CheXpert")
    values = {"-1": _POLICIES[uncertain], "-1.0": _POLICIES[uncertain], "": _POLICIES[blank]}
    place = _Images(train.parent)
    items: list[dict[str, Any]] = []
    if test_set:
        items += _test_items(Path(test_set), values, views, max_missing)
    for table, split in (
        (train, "training" if valid_as == "validation" else None),
        (train.parent / "valid.csv", valid_as),
    ):
        rows = read_table(table, ("Path", "Frontal/Lateral", *CHEXPERT_CLASSES))
        kept = [row for row in rows if views in ("all", row["Frontal/Lateral"].lower())]
        part = {"split": split} if split else {}
        entries = ((row["Path"], place.find(row["Path"]), {**_rest(row, values, table), **part}) for row in kept)
        items += drop_missing(entries, max_missing, f"'{table}'")
    return items


def _test_items(folder: Path, values: dict[str, int], views: str, max_missing: float) -> list[dict[str, Any]]:
    """The official test part; the view is in the name of the file, and paths are taken from ``test/`` on."""
    table = locate(folder, ["test_labels.csv"], "test table of CheXpert")
    rows = read_table(table, ("Path", *CHEXPERT_CLASSES))
    kept = [row for row in rows if views == "all" or views in Path(row["Path"]).stem]
    entries = []
    for row in kept:
        path = table.parent / "test" / row["Path"].rpartition("test/")[2]
        entries.append((row["Path"], path if path.is_file() else None, {**_rest(row, values, table), "split": "test"}))
    return drop_missing(entries, max_missing, f"'{table}'")


def _rest(row: dict[str, str], values: dict[str, int], table: Path) -> dict[str, Any]:
    match = _PATIENT.search(row["Path"])
    if match is None:
        raise ValueError(f"table '{table}': path '{row['Path']}' names no patient, such as patient00001.")
    labels = {
        name: values[row[name]]
        if row[name] in values
        else binary(row[name], f"'{name}' of '{row['Path']}' in '{table}'")
        for name in CHEXPERT_CLASSES
    }
    return {"patient": match[1], "labels": labels}


class _Images:
    """Where the image of a path in the tables lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        batches = sorted(folder.parent.glob("CheXpert-v1.0 batch *"))
        self.batches = {name: batch for batch in batches for name in os.listdir(batch) if _PATIENT.fullmatch(name)}

    def find(self, path: str) -> Path | None:
        """The file: CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg without its first folder; in the
        full version the patients of train lie directly in the batches."""
        part, *rest = Path(path).parts[1:]
        places = [self.folder / part / Path(*rest)]
        if rest and rest[0] in self.batches and part == "train":
            places.append(self.batches[rest[0]] / Path(*rest))
        return next((place for place in places if place.is_file()), None)
