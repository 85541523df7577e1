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
"""Places on an image and places in its feature map.

Points are (row, column[, slice]) px of the image; pixel centres have whole numbers. A feature map of any size covers
the whole image, so its cell i along an axis has its centre at ``(i + 1/2) * side / cells - 1/2`` px.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cell_centres", "cell_sides", "check_map", "inside", "sample_features", "unit_features"]


def check_map(features: Tensor, image_size: Sequence[int]) -> None:
    """Refuse a feature map that is not one of an image of this size.

    Args:
        features: (D, *grid), float, 2-D or 3-D.
        image_size: sides of the image, px.

    Raises:
        ValueError: when the axes do not fit, a side is empty, or a feature is not finite.
    """
    if features.ndim not in (3, 4) or 0 in features.shape or len(image_size) != features.ndim - 1:
        raise ValueError(
            f"features must be (D, h, w) of an image (H, W), or (D, d, h, w) of (D, H, W), got {tuple(features.shape)} "
            f"and image size {tuple(image_size)}; give one image at a time."
        )
    if min(image_size) < 1:
        raise ValueError(f"image_size must be positive, got {tuple(image_size)}.")
    if not torch.isfinite(features).all():
        raise ValueError("features must be finite, got NaN or infinity; check the encoder's weights and precision.")


def cell_sides(grid: Sequence[int], image_size: Sequence[int]) -> Tensor:
    """Sides of a cell along each axis, (n,) float32 px."""
    return torch.tensor([side / cells for side, cells in zip(image_size, grid, strict=True)])


def cell_centres(grid: Sequence[int], image_size: Sequence[int]) -> Tensor:
    """Centres of all cells.

    Args:
        grid: cells along each axis.
        image_size: sides of the image, px.

    Returns:
        (N, n) float32 px, row-major.
    """
    axes = [(torch.arange(cells) + 0.5) * (side / cells) - 0.5 for cells, side in zip(grid, image_size, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)


def inside(points: Tensor, image_size: Sequence[int]) -> Tensor:
    """Which points lie on the image, (N,) bool; a point with NaN does not."""
    side = torch.tensor(image_size, dtype=points.dtype, device=points.device)
    return ((points >= -0.5) & (points <= side - 0.5)).all(1)


def unit_features(features: Tensor) -> Tensor:
    """The features of each cell as a vector of length 1 (0 stays 0), float32 (D, *grid)."""
    return F.normalize(features.float(), dim=0)


def sample_features(features: Tensor, points: Tensor, image_size: Sequence[int]) -> Tensor:
    """Unit descriptors at points: linear interpolation of the cells' unit vectors.

    Between the outermost centres and the image's border the outermost cell goes on.

    Args:
        features: (D, *grid), float.
        points: (N, n), px.
        image_size: sides of the image, px.

    Returns:
        (N, D) float32.

    Raises:
        ValueError: when the map does not fit the image, or the points are not (N, n).
    """
    check_map(features, image_size)
    n = len(image_size)
    if points.ndim != 2 or points.shape[1] != n:
        raise ValueError(f"points must be (N, {n}) px, (row, column[, slice]), got {tuple(points.shape)}.")
    side = torch.tensor(image_size, dtype=torch.float32, device=features.device)
    place = ((points.to(side) + 0.5) * 2 / side - 1).flip(1)  # (-1, 1): from border to border
    grid = place.view(1, len(points), *[1] * (n - 1), n)
    unit = unit_features(features)[None]
    found = F.grid_sample(unit, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return F.normalize(found.view(len(features), len(points)).T, dim=1)
