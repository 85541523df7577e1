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
"""Labelled data of a fine-tuning run: sections of a datalist, and what they are annotated with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.bundle.cached import cached_datalist, check_cached
from monai_lamps.data.annotations import count_labels, count_structures, read_structure_values
from monai_lamps.data.datalist import SECTIONS, load_datalist, split_by_patient

__all__ = [
    "classes_in",
    "labelled_datalist",
    "section_items",
    "labelled_sections",
    "structures_in",
]

_LOGGER = logging.getLogger(__name__)


def labelled_datalist(datalist: str | Path, dataset_dir: str | Path = "", cache: str | Path = "") -> Path:
    """The datalist with labels or masks to train on or to judge by.

    Args:
        datalist: a MONAI datalist.
        dataset_dir: folder that its relative paths are relative to; its own by default.
        cache: array cache to read the images from, whose own datalist will do; or an empty text.

    Raises:
        ValueError: when none is given, or the cache lacks images of it.
        FileNotFoundError: when it does not exist.
    """
    if cache and not datalist:
        return cached_datalist(cache)
    if not datalist:
        raise ValueError(
            "no labelled data: give --datalist FILE, a MONAI datalist with masks or labels; of a public set "
            "'python -m monai_lamps.data set NAME FOLDER' makes one."
        )
    if not Path(datalist).is_file():
        raise FileNotFoundError(f"datalist '{datalist}' does not exist; give --datalist an existing MONAI datalist.")
    if dataset_dir and not Path(dataset_dir).is_dir():
        raise FileNotFoundError(f"dataset_dir '{dataset_dir}' is not a folder; the datalist's paths count from it.")
    if cache:
        check_cached(cache, datalist, dataset_dir or None)
    return Path(datalist)


def labelled_sections(
    datalist: str | Path, dataset_dir: str | Path = "", validation_share: float = 0.2, seed: int = 0
) -> dict[str, list[Mapping[str, Any]]]:
    """The sections of a datalist; where it has no validation, some patients of training are taken for it.

    Args:
        datalist: MONAI datalist.
        dataset_dir: folder that its relative paths are relative to; its own by default.
        validation_share: share of the training patients for validation, where the datalist has none.
        seed: of that split.

    Returns:
        items of training, validation and test with absolute paths.

    Raises:
        ValueError: when there is no training image, or no validation image.
    """
    sections: dict[str, list[Mapping[str, Any]]] = {
        name: list(load_datalist(datalist, name, dataset_dir or None)) for name in SECTIONS
    }
    if not sections["training"]:
        raise ValueError(f"datalist '{datalist}' has no training image; list some under 'training'.")
    if not sections["validation"]:
        split = split_by_patient(sections["training"], validation=validation_share, seed=seed)
        if not split["validation"]:
            raise ValueError(
                f"datalist '{datalist}' has no validation images, and {len(sections['training'])} training images with "
                f"validation_share={validation_share} give none; list some under 'validation', or raise "
                "validation_share."
            )
        sections.update(split)
        _LOGGER.info(
            f"'{datalist}' has no validation images: {len(split['validation'])} of training are taken for it, by "
            f"patient; {len(split['training'])} are left to train on."
        )
    return sections


def section_items(
    datalist: str | Path,
    section: str,
    dataset_dir: str | Path = "",
    validation_share: float = 0.2,
    seed: int = 0,
) -> list[Mapping[str, Any]]:
    """The items of one section, to judge by; validation as :func:`labelled_sections` has it.

    Args:
        datalist: MONAI datalist.
        section: training, validation or test.
        dataset_dir: see :func:`labelled_sections`.
        validation_share: see :func:`labelled_sections`.
        seed: see :func:`labelled_sections`.

    Raises:
        ValueError: when the section is unknown or empty.
    """
    if section not in SECTIONS:
        raise ValueError(f"section got '{section}', expected one of {', '.join(SECTIONS)}.")
    items: list[Mapping[str, Any]] = list(load_datalist(datalist, section, dataset_dir or None))
    if not items and section == "validation":
        items = labelled_sections(datalist, dataset_dir, validation_share, seed)["validation"]
    if not items:
        counts = {name: len(load_datalist(datalist, name, dataset_dir or None)) for name in SECTIONS}
        has = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise ValueError(f"datalist '{datalist}' has no image in section '{section}' (it has {has}); give --section.")
    return items


def structures_in(datalist: str | Path, default: Sequence[str] = ()) -> list[str]:
    """Names of all structures that training images of a datalist are annotated with.

    Args:
        datalist: MONAI datalist; with an empty text there are no data, and ``default`` is the answer.
        default: names to build a network with where there are no data.

    Raises:
        ValueError: when no training image has a mask.
    """
    if not datalist:
        return list(default)
    counts = count_structures(load_datalist(datalist), read_structure_values(datalist))
    if not counts:
        raise ValueError(
            f"no training image of datalist '{datalist}' has a mask (label, masks, polygons or rle); a segmentation "
            "needs some."
        )
    return list(counts)


def classes_in(datalist: str | Path, cache: str | Path = "", default: Sequence[str] = ()) -> list[str]:
    """Names of all classes that training images of a datalist have labels for.

    Args:
        datalist: MONAI datalist; where it is an empty text, the cache's own.
        cache: array cache; with two empty texts there are no data, and ``default`` is the answer.
        default: names to build a network with where there are no data.

    Raises:
        ValueError: when no training image has labels.
    """
    if not datalist and not cache:
        return list(default)
    datalist = datalist or cached_datalist(cache)
    counts = count_labels(load_datalist(datalist))
    if not counts:
        raise ValueError(
            f"no training image of datalist '{datalist}' has 'labels'; a classification needs some, such as "
            '"labels": {"Edema": 1, "Mass": 0}.'
        )
    return list(counts)
