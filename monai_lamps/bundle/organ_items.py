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
"""The organs of a bundle's images: where they are read, their numbers, and an order in which they are mixed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monai_lamps.data.keys import derive_seed
from monai_lamps.data.organs import (
    ColumnOrgans,
    DicomOrgans,
    FolderOrgans,
    OrganSource,
    OrganTable,
    organ_labels,
    read_organs,
)

__all__ = ["mixed_items", "organ_source", "organ_table"]

_SOURCES = ("column", "folder", "dicom")


def organ_source(
    organs: str, column: str = "organ", level: int | None = None, dataset_dir: str | Path | None = None
) -> OrganSource:
    """What reads the organ of an image.

    Args:
        organs: ``"column"`` of the datalist, ``"folder"`` that is named after the organ, or ``"dicom"`` header (read at
            every start: of many files write it into the datalist once, with ``python -m monai_lamps.data organs``).
        column: name of the column.
        level: which folder, 1 for the one that holds the file; None for the nearest one that names a known organ.
        dataset_dir: folders above this one are not looked at.

    Raises:
        ValueError: when ``organs`` is something else, or the level is below 1.
    """
    if organs not in _SOURCES:
        raise ValueError(f"organs got {organs!r}, expected one of {', '.join(_SOURCES)}.")
    if organs == "column":
        return ColumnOrgans(column)
    return (
        FolderOrgans(level, os.path.abspath(dataset_dir) if dataset_dir else None)
        if organs == "folder"
        else DicomOrgans()
    )


def organ_table(
    items: Sequence[Mapping[str, Any]],
    source: OrganSource,
    names: Sequence[str] | None = None,
    contrasted: bool = True,
) -> OrganTable:
    """Numbers of the organs, without the labels of each item, which would be copied into every loader worker.

    Args:
        items: a section of a datalist.
        source: where the organ stands.
        names: organs whose numbers training has given; None for training itself.
        contrasted: whether organs are told apart, for which there must be two of them. Where they are not, images of
            an organ of which there is only one image, and such without an organ, are all the same welcome.

    Raises:
        ValueError: when organs are told apart and no image has one, or all have the same.
    """
    if names is None and not contrasted:
        labels = read_organs(items, source)
        names = sorted({label.organ for label in labels if label.organ})
        return OrganTable(names, [names.index(label.organ) if label.organ else -1 for label in labels], [])
    return replace(organ_labels(items, source, names), labels=[])


def mixed_items(items: Sequence[Mapping[str, Any]], seed: int = 0) -> list[Mapping[str, Any]]:
    """The items in an order that ``seed`` decides, so that a batch of a list by organs or data sets has several.

    Args:
        items: a section of a datalist.
        seed: of the order.
    """
    return [items[number] for number in sorted(range(len(items)), key=lambda number: derive_seed(seed, number))]
