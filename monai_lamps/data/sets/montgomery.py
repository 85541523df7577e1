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
"""The Montgomery County set of the NLM."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from monai_lamps.data.annotations import read_binary_mask
from monai_lamps.data.sets.choices import log_count
from monai_lamps.data.sets.files import index_files, locate

__all__ = ["read_montgomery"]

_NAME = re.compile(r"^(MCUCXR_\d+_([01]))\.png$", re.IGNORECASE)
_COMPARED = 5  # pairs of masks that tell which side is which


def read_montgomery(folder: Path, *, max_missing: float = 0.05) -> list[dict[str, Any]]:
    """Montgomery: 138 chest radiographs, tuberculosis or none, with masks of both lungs.

    The set lies in ``MontgomerySet`` with ``CXR_png`` and ``ManualMask/leftMask`` and ``rightMask``. The label
    ``tuberculosis`` is the last digit of the name. Left and right are the patient's here: the right lung is on the left
    of the image; which of the two folders that is is told from the masks themselves. There is no official split; an
    image is a patient.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the images whose mask of a lung may be missing.

    Returns:
        items with ``labels`` and ``masks`` (left lung, right lung).

    Raises:
        FileNotFoundError: when a folder is missing.
        ValueError: when there is no image, or too many lack a mask.
    """
    images = index_files([locate(folder, ["CXR_png"], "images of Montgomery")], [".png"], _stem)
    if not images:
        raise ValueError(f"'{folder}' has no image such as CXR_png/MCUCXR_0001_0.png; download Montgomery.")
    names = ("leftMask", "rightMask")
    first, second = (
        index_files([locate(folder, [f"ManualMask/{name}", name], "masks of Montgomery")], [".png"], _stem)
        for name in names
    )
    left, right = (second, first) if _is_left_in_image(first, second) else (first, second)
    lacking = [name for name in images if name not in left or name not in right]
    if len(lacking) > max_missing * len(images):
        raise ValueError(
            f"{len(lacking)} of {len(images)} images of '{folder}' lack a mask of a lung, more than the allowed "
            f"{max_missing:.0%} (first: {', '.join(lacking[:3])}). Download the rest, or raise max_missing."
        )
    log_count(lacking, "images lack a mask of a lung, which is then not annotated")
    return [_item(name, image, {"left lung": left, "right lung": right}) for name, image in sorted(images.items())]


def _stem(path: Path) -> str | None:
    match = _NAME.match(path.name)
    return match[1].upper() if match else None


def _item(name: str, image: Path, masks: Mapping[str, Mapping[str, Path]]) -> dict[str, Any]:
    return {
        "image": str(image),
        "patient": name,
        "labels": {"tuberculosis": int(name[-1])},
        "masks": {structure: str(paths[name]) for structure, paths in masks.items() if name in paths},
    }


def _is_left_in_image(first: Mapping[str, Path], second: Mapping[str, Path]) -> bool:
    """Whether the masks of the first folder lie on the left of those of the second one, by the vote of a few pairs."""
    names = sorted(first.keys() & second.keys())[:_COMPARED]
    votes = [_middle(first[name]) < _middle(second[name]) for name in names]
    return sum(votes) * 2 > len(votes)


def _middle(mask: Path) -> float:
    """Mean column of a mask."""
    columns = read_binary_mask(mask).sum(axis=0)
    return float(np.average(np.arange(len(columns)), weights=columns)) if columns.any() else 0.0
