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
"""The RSNA Pneumonia Detection Challenge."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monai_lamps.data.sets.choices import binary, drop_missing
from monai_lamps.data.sets.files import find, index_files, locate, read_json, read_table

__all__ = ["RSNA_CLASSES", "read_rsna"]

#: the classes of stage_2_detailed_class_info.csv, each image has one
RSNA_CLASSES = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")
_MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"

logger = logging.getLogger(__name__)


def read_rsna(folder: Path, *, max_missing: float = 0.05) -> list[dict[str, Any]]:
    """RSNA pneumonia: 26,684 chest radiographs (DICOM), pneumonia or none, and three classes.

    The set is ``stage_2_train_labels.csv``, ``stage_2_detailed_class_info.csv`` and ``stage_2_train_images/``; the test
    images of the challenge have no labels and are passed over, so there is no official split. Labels are ``pneumonia``
    and, one of which is 1, :data:`RSNA_CLASSES`. The challenge gives every image a ``patientId`` of its own, though
    patients of ChestX-ray14, where the images come from, have several: if ``pneumonia-challenge-dataset-
    mappings_2018.json`` of the RSNA lies with the set, the patient is that of ChestX-ray14, else the image, which is
    logged.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.

    Returns:
        items with ``labels``.

    Raises:
        FileNotFoundError: when a table or the folder of the images is missing.
        ValueError: for a table without the columns, an unknown class, an image without a class, or too many missing
            images.
    """
    table = locate(folder, ["stage_2_train_labels.csv"], "table of RSNA pneumonia")
    classes = locate(folder, ["stage_2_detailed_class_info.csv"], "classes of RSNA pneumonia")
    images = index_files(
        [locate(folder, ["stage_2_train_images"], "images of RSNA pneumonia")], [".dcm"], lambda path: path.stem
    )
    target = {row["patientId"]: row["Target"] for row in read_table(table, ("patientId", "Target"))}
    named = {row["patientId"]: row["class"] for row in read_table(classes, ("patientId", "class"))}
    patients = _patients(folder)
    entries = []
    for name, value in target.items():
        if named.get(name) not in RSNA_CLASSES:
            raise ValueError(
                f"table '{classes}': image '{name}' has the class '{named.get(name)}'; expected one of "
                f"{', '.join(RSNA_CLASSES)}."
            )
        labels = {"pneumonia": binary(value, f"Target of '{name}' in '{table}'")}
        labels |= {label: int(named[name] == label) for label in RSNA_CLASSES}
        entries.append((name, images.get(name), {"patient": patients.get(name, name), "labels": labels}))
    return drop_missing(entries, max_missing, f"'{table}'")


def _patients(folder: Path) -> dict[str, str]:
    """Patient of ChestX-ray14 of each image."""
    path = find(folder, [_MAPPING])
    if path is None:
        logger.info(f"'{folder}' has no {_MAPPING}: patients are unknown, so each image counts as one.")
        return {}
    rows = read_json(path)
    if not isinstance(rows, list) or not all({"subset_img_id", "img_id"} <= set(row) for row in rows):
        raise ValueError(f"'{path}' must be a list with the entries subset_img_id and img_id; download it again.")
    return {row["subset_img_id"]: row["img_id"].split("_")[0] for row in rows if row["subset_img_id"]}
