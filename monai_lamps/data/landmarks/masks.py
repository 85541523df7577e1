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

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .points import Points, named_points

__all__ = ["EXTREMES", "MaskLandmarks", "mask_points"]

EXTREMES = ("middle", "top", "bottom", "left", "right")
"""Points of a mask in the order of :func:`mask_points`; left and right of the image."""


class MaskLandmarks:
    """Landmarks from the masks of an image: the middle of each structure and its four extremes.

    Args:
        per_structure: how many of the five are taken, see :func:`~monai_lamps.data.landmarks.named_points`; 0 for all.
    """

    def __init__(self, per_structure: int = 0) -> None:
        self.per_structure = per_structure

    def __call__(self, item: Mapping[str, Any], masks: Mapping[str, npt.NDArray[np.bool_]]) -> Points:
        """Points of the structures that are there.

        Args:
            item: not used.
            masks: (H, W) by structure.
        """
        structures = {name: mask_points(mask) for name, mask in masks.items()}
        return named_points(structures, self.per_structure)


def mask_points(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Middle (centroid) and extremes of a mask.

    An extreme is the middle of the mask's pixels in its first (last) row (column), so a flat end gives one point.

    Args:
        mask: (H, W) bool.

    Returns:
        (5, 2) positions (row, column) in the order of :data:`EXTREMES`, px; NaN for an empty mask.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.full((len(EXTREMES), 2), np.nan, np.float32)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    points = [
        (rows.mean(), columns.mean()),
        (top, columns[rows == top].mean()),
        (bottom, columns[rows == bottom].mean()),
        (rows[columns == left].mean(), left),
        (rows[columns == right].mean(), right),
    ]
    return np.array(points, np.float32)
