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
"""The SIIM-ACR Pneumothorax Segmentation Challenge."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pydicom

from monai_lamps.data.dicom import NO_PATIENT
from monai_lamps.data.sets.choices import drop_missing, log_count
from monai_lamps.data.sets.files import index_files, locate, read_table

__all__ = ["read_siim_acr"]

#: every image of the challenge is 1024 x 1024
_SIZE = 1024
_TABLES = ("stage_2_train.csv", "train-rle.csv", "train-rle-sample.csv")


def read_siim_acr(folder: Path, *, max_missing: float = 0.05) -> list[dict[str, Any]]:
    """SIIM-ACR pneumothorax: chest radiographs (DICOM), pneumothorax or none, with its mask.

    The set is ``train-rle.csv`` (stage 1, with ``dicom-images-train/STUDY/SERIES/IMAGE.dcm``; its column is
    `` EncodedPixels`` with a space) or ``stage_2_train.csv``, which is preferred and covers the 12,047 images of
    stage 1 (training and test); those of stage 2's test have no labels. Images are found by name anywhere below the
    folder. -1 is no pneumothorax, an image with several collections has several rows, whose union is the mask. The run
    lengths go down the columns; starts count from the end of the run before, so they are the counts of
    :func:`~monai_lamps.data.annotations.decode_run_lengths` and stay in the datalist as such. There is no official
    split with labels. The patient is that of the DICOM header, if the headers tell patients apart, else the image; in
    the release every file has a patient of its own, so two images of one person cannot be kept together.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.

    Returns:
        items with ``labels`` and ``rle`` (pneumothorax).

    Raises:
        FileNotFoundError: when there is no table.
        ValueError: for a table without the columns, run lengths that are none, or too many missing images.
    """
    table = locate(folder, _TABLES, "table of SIIM-ACR")
    codes: dict[str, list[str]] = defaultdict(list)
    for row in read_table(table, ("ImageId", "EncodedPixels")):
        codes[row["ImageId"]].append(row["EncodedPixels"])
    images = index_files([folder], [".dcm"], lambda path: path.stem)
    entries = []
    for name, texts in codes.items():
        runs = _runs(texts, name, table)
        labels = {"pneumothorax": int(bool(runs))}
        entries.append((name, images.get(name), {"patient": name, "labels": labels, "rle": {"pneumothorax": runs}}))
    items = drop_missing(entries, max_missing, f"'{table}'")
    log_count([name for name in images if name not in codes], "images are not in the table and left out")
    headers = {item["image"]: _header_patient(item["image"]) for item in items}
    if len(set(headers.values()) - {""}) > 1:
        items = [{**item, "patient": headers[item["image"]] or item["patient"]} for item in items]
    return items


def _runs(texts: list[str], name: str, table: Path) -> list[dict[str, Any]]:
    """The run lengths of an image; none where there is no pneumothorax."""
    if texts == ["-1"]:
        return []
    result = []
    for text in texts:
        counts = [int(number) if number.isdigit() else -1 for number in text.split()]
        if not counts or len(counts) % 2 or min(counts) < 0 or sum(counts) > _SIZE * _SIZE:
            raise ValueError(
                f"table '{table}': image '{name}' has the run lengths '{text[:40]}'; expected -1 alone, or pairs of "
                f"start and length that lie within {_SIZE} x {_SIZE} pixels: take the original table of the set."
            )
        result.append({"size": [_SIZE, _SIZE], "counts": counts})
    return result


def _header_patient(path: str) -> str:
    """Patient of a DICOM file, empty where it tells none or cannot be read (training will say so)."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
    except Exception:  # pydicom raises many kinds for damaged files
        return ""
    patient = str(header.get("PatientID", "") or "").strip()
    return "" if patient.lower() in NO_PATIENT else patient
