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

import numpy as np
import numpy.typing as npt

__all__ = ["Points", "named_points"]

#: position (row, column) of each named point, px
Points = dict[str, tuple[float, float]]


def named_points(structures: Mapping[str, npt.NDArray[np.floating]], per_structure: int = 0) -> Points:
    """Points by name: ``heart 7`` is the seventh of the heart (counted from 1), ``carina`` the only one of its kind.

    Args:
        structures: for each structure (k, 2) positions (row, column), px; NaN where a point is not known.
        per_structure: how many of each structure are taken, spread evenly over its list (along a contour, so that they
            lie far from each other); 0 for all. Which ones depends on k alone, so they are the same in every image.

    Returns:
        the points that are known.

    Raises:
        ValueError: when ``per_structure`` is negative.
    """
    if per_structure < 0:
        raise ValueError(f"per_structure must be 0 (all) or more, got {per_structure}.")
    points: Points = {}
    for structure, positions in structures.items():
        count = len(positions)
        taken = min(per_structure, count) or count
        for number in dict.fromkeys(place * count // taken for place in range(taken)):
            row, column = (float(value) for value in positions[number])
            if np.isfinite(row) and np.isfinite(column):
                points[structure if count == 1 else f"{structure} {number + 1}"] = (row, column)
    return points
