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
"""VinDr-CXR of PhysioNet."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from monai_lamps.data.sets.choices import UNKNOWN, binary, check_choice, drop_missing
from monai_lamps.data.sets.files import IMAGE_SUFFIXES, index_files, locate, read_table

__all__ = ["read_vindr_cxr"]

_IDENTITY = ("image_id", "rad_id")
_CONSENSUS = ("majority", "any", "all", "agreed", "share")


def read_vindr_cxr(folder: Path, *, max_missing: float = 0.05, consensus: str = "majority") -> list[dict[str, Any]]:
    """VinDr-CXR: 15,000 chest radiographs for training and 3,000 for test (DICOM), 28 findings and diagnoses.

    The set is ``train/`` and ``test/`` with the images and ``annotations/image_labels_train.csv`` and
    ``image_labels_test.csv``; both parts are official. Three radiologists read every training image independently, the
    test labels are a consensus of five already. ``Other disease`` of the test table is ``Other diseases`` as in the
    training table. Patients are not given: each image counts as one.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.
        consensus: how the radiologists of a training image are put together: "majority" (more than half say so), "any",
            "all", "agreed" (unknown where they differ), or "share" (share of them, a probability).

    Returns:
        items with ``labels``.

    Raises:
        FileNotFoundError: when a table or a folder of images is missing.
        ValueError: for an unknown consensus, tables without the columns or with different findings, or too many missing
            images.
    """
    check_choice("consensus", consensus, _CONSENSUS)
    items: list[dict[str, Any]] = []
    findings: list[str] = []
    for part in ("train", "test"):
        table = locate(
            folder, [f"annotations/image_labels_{part}.csv", f"image_labels_{part}.csv"], "labels of VinDr-CXR"
        )
        readings = _readings(table)
        own = sorted(next(iter(readings.values()))[0])
        findings = findings or own
        if own != findings:
            differing = sorted(set(own) ^ set(findings))
            raise ValueError(
                f"table '{table}' and that of the training part differ in the columns {', '.join(differing)}; take the "
                "original tables of the set."
            )
        images = index_files([locate(folder, [part], "images of VinDr-CXR")], IMAGE_SUFFIXES, lambda path: path.stem)
        split = {"split": "test"} if part == "test" else {}
        entries = (
            (name, images.get(name), {"patient": name, "labels": _agree(rows, consensus), **split})
            for name, rows in readings.items()
        )
        items += drop_missing(entries, max_missing, f"'{table}'")
    return items


def _readings(table: Path) -> dict[str, list[dict[str, int]]]:
    """The labels of each image, by each of its radiologists."""
    readings: dict[str, list[dict[str, int]]] = defaultdict(list)
    for row in read_table(table, ("image_id",)):
        name = row["image_id"]
        labels = {
            "Other diseases" if column == "Other disease" else column: binary(
                value, f"'{column}' of '{name}' in '{table}'"
            )
            for column, value in row.items()
            if column.lower() not in _IDENTITY and column
        }
        if not labels:
            raise ValueError(f"table '{table}' has no column of labels; take the original table of the set.")
        readings[name].append(labels)
    return readings


def _agree(readings: list[dict[str, int]], consensus: str) -> dict[str, float]:
    return {name: _verdict(sum(row[name] for row in readings), len(readings), consensus) for name in readings[0]}


def _verdict(votes: int, readers: int, consensus: str) -> float:
    if consensus == "share":
        return votes / readers
    if consensus == "agreed":
        return UNKNOWN if 0 < votes < readers else int(votes > 0)
    return int({"majority": 2 * votes > readers, "any": votes > 0, "all": votes == readers}[consensus])
