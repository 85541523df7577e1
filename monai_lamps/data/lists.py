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
"""List files of the papers' data sets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

__all__ = ["LIST_KINDS", "XRAY14_CLASSES", "read_list_file"]

#: the order of the labels in the list files of ChestX-ray14
XRAY14_CLASSES = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip

#: kind of list: number of labels a line must have (None for any, or none)
LIST_KINDS: dict[str, int | None] = {
    "paths": None,
    "xray14": 14,
    "shenzhen": 1,
    "rsna": 1,
    "vindr": 6,
    "vindr_local": 22,
}
_NAMES = {"xray14": XRAY14_CLASSES, "shenzhen": ("tuberculosis",)}  # of the labels, where the order is published
_XRAY14_PATIENT = re.compile(r"(\d{8})_\d{3}")
_SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".nii.gz", ".nii")
_LABELS = re.compile(r"^(?P<file>.*?\S)(?P<labels>(?:[\s,]+-?\d+(?:\.\d+)?)+)$")


def read_list_file(
    path: str | Path, base_dir: str | Path, kind: str = "paths", check: bool = True
) -> list[dict[str, Any]]:
    """Read a list file of the papers' data sets, as released with their code, as MONAI items.

    A line holds a path and, after commas or spaces, its labels. Carriage returns, trailing spaces and empty lines are
    tolerated, a missing last newline too, and file names without their extension are completed. In ``paths`` labels are
    optional and dropped.

    Args:
        path: the list file.
        base_dir: folder that the paths are relative to.
        kind: one of ``LIST_KINDS``: paths (one a line), xray14 (14 labels, :data:`XRAY14_CLASSES`), shenzhen (1: 0 or
            1), rsna (1: 0 normal, 1 no opacity but not normal, 2 opacity), vindr (6), vindr_local (22).
        check: require that the files exist (needed to complete extensions).

    Returns:
        items ``{"image": PATH, "label": [...]}``, without label for ``paths``; for xray14 and shenzhen also with
        ``labels`` by name, which classification reads, and for xray14 with the ``patient`` that the file's name tells.

    Raises:
        FileNotFoundError: when the list does not exist, or a listed image does not.
        ValueError: for an unknown kind, an empty list, or a line with another number of labels.
    """
    if kind not in LIST_KINDS:
        raise ValueError(f"unknown kind of list '{kind}', valid kinds are {', '.join(LIST_KINDS)}.")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"list file '{path}' does not exist.")
    items: list[dict[str, Any]] = []
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            items.append(_item(line.strip(), Path(base_dir), kind, check, f"'{path}' line {number}"))
    if not items:
        raise ValueError(f"list file '{path}' is empty.")
    return items


def _item(line: str, base: Path, kind: str, check: bool, where: str) -> dict[str, Any]:
    """One line as an item. A file name may itself end in numbers, so the files that exist decide what is a label."""
    name, labels = _parse(line)
    count = LIST_KINDS[kind]
    if check and (count is None or len(labels) > count):
        end = re.sub(rf"(?:[\s,]+[^\s,]+){{{count}}}$", "", line) if count else line
        if (file := _find(base, end)) is not None:
            return _labelled(file, labels[-count:], kind) if count else {"image": file}
    if count is not None and len(labels) != count:
        mend = "; a list of names alone is 'paths'." if not labels else "; see the kinds of list."
        raise ValueError(f"{where}: expected {count} labels for '{kind}', got {len(labels)}: {line!r}{mend}")
    file = _find(base, name) if check else os.path.join(base, name)
    if file is None:
        raise FileNotFoundError(f"{where}: no image '{base / name}', with or without an extension.")
    return _labelled(file, labels, kind) if count else {"image": file}


def _labelled(file: str, labels: list[int | float], kind: str) -> dict[str, Any]:
    item: dict[str, Any] = {"image": file, "label": labels}
    if kind in _NAMES:
        item["labels"] = dict(zip(_NAMES[kind], labels, strict=True))
    if kind == "xray14" and (match := _XRAY14_PATIENT.match(Path(file).name)):
        item["patient"] = match[1]
    return item


def _parse(line: str) -> tuple[str, list[int | float]]:
    match = _LABELS.match(line)
    if match is None:
        return line.rstrip(","), []
    values = re.split(r"[\s,]+", match["labels"].strip(" ,\t"))
    return match["file"].rstrip(","), [float(v) if "." in v else int(v) for v in values]


def _find(base: Path, name: str) -> str | None:
    """The file of that name, with or without an extension."""
    for suffix in _SUFFIXES:
        file = base / f"{name}{suffix}"
        if file.is_file():
            return str(file)
    return None
