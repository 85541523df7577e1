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
"""Patches at random places, the same for every encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from monai_lamps.data.keys import derive_seed

from .case import Case
from .patches import cut_patch

__all__ = ["Place", "random_places"]


@dataclass(frozen=True)
class Place:
    """Where a patch is cut.

    Attributes:
        case: number of the radiograph.
        centre: (row, column) in shares of the side.
        share: side of the patch in shares of the image's.
    """

    case: int
    centre: tuple[float, float]
    share: float

    def cut(self, cases: Sequence[Case], size: int) -> Tensor:
        """The patch (1, size, size), resized once."""
        return cut_patch(cases[self.case].image, self.centre, self.share, size)


def random_places(count: int, per_case: int, shares: tuple[float, float], seed: int) -> list[Place]:
    """Places in each of ``count`` radiographs, the patches wholly inside.

    Args:
        count: number of radiographs.
        per_case: places in each.
        shares: least and greatest side in shares of the image's, uniform.
        seed: decides places; those of a radiograph do not depend on how many there are.

    Raises:
        ValueError: when there is no place to be drawn, or a share is not above 0 and below 1.
    """
    low, high = shares
    if per_case < 1 or not 0 < low <= high < 1:
        raise ValueError(
            f"places got {per_case} a radiograph and shares {shares}, expected 1 or more, 0 < low <= high < 1."
        )
    places = []
    for case in range(count):
        draw = np.random.default_rng(derive_seed(seed, case))
        for _ in range(per_case):
            share = float(draw.uniform(low, high))
            row, column = (float(value) for value in draw.uniform(share / 2, 1 - share / 2, 2))
            places.append(Place(case, (row, column), share))
    return places
