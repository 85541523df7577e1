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

from collections.abc import Sequence

import torch
from torch import Tensor

from monai_lamps.metrics.anatomy import cell_sides, mutual_matches

from .point_map import PointFit, PointMap

__all__ = ["register"]


def register(
    fixed: Tensor,
    moving: Tensor,
    fixed_size: Sequence[int],
    moving_size: Sequence[int],
    fit: PointFit,
    tolerance: float = 1.5,
) -> PointMap:
    """Align two images by their dense features.

    Cells that are each other's best match give pairs of points, and a map is fitted to those. It is fitted with the
    moving image stretched to the size of the fixed one, so that what it may do does not depend on their resolutions.

    Args:
        fixed: features (D, *grid) of the image whose frame is kept.
        moving: features (D, *grid) of the image that is to be brought into it.
        fixed_size: sides of the fixed image, px.
        moving_size: sides of the moving image, px.
        fit: :class:`~monai_lamps.registration.AffineFit` or :class:`~monai_lamps.registration.ThinPlateFit`.
        tolerance: cells of the moving image (their longer side), up to which a match agrees with a map.

    Returns:
        the map from points of the fixed image to points of the moving one.

    Raises:
        RegistrationError: when too few matches agree.
        ValueError: when a feature map does not fit its image.
    """
    pairs = mutual_matches(fixed, moving, fixed_size, moving_size)
    stretch = torch.tensor(moving_size, dtype=torch.float64) / torch.tensor(fixed_size)
    stretched = (pairs.points_b.cpu().double() + 0.5) / stretch - 0.5
    found = fit(pairs.points_a.cpu(), stretched, tolerance * float(cell_sides(moving.shape[1:], fixed_size).max()))
    return lambda points: (found(points) + 0.5) * stretch - 0.5
