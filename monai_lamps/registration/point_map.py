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

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PointFit", "PointMap", "displaced_pixels", "folding_share", "resample_by_map"]

#: points (N, n) px of the fixed image to where they lie in the moving one, (N, n) px
PointMap = Callable[[Tensor], Tensor]
#: matched points of the fixed and of the moving image, (M, n) px each, and a tolerance, px, to a map
PointFit = Callable[[Tensor, Tensor, float], PointMap]

_NODES = 65  # of the lattice an axis on which a map is asked; between them it is linear
_LINEAR = {2: "bilinear", 3: "trilinear"}
_MODES = ("bilinear", "nearest")
_OUTSIDE = ("border", "zeros")


def displaced_pixels(point_map: PointMap, size: Sequence[int]) -> Tensor:
    """Where every pixel of the fixed image lies in the moving one.

    The map is asked at most at 65 places an axis, between which it is taken to be linear: it is smooth, and a spline of
    many matches costs too much to be asked at each pixel.

    Args:
        point_map: the map.
        size: sides of the fixed image, px.

    Returns:
        (*size, n) float64 px.
    """
    n = len(size)
    axes = [torch.linspace(0, side - 1, min(side, _NODES), dtype=torch.float64) for side in size]
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    lattice = point_map(nodes.flatten(0, -2)).view(nodes.shape).movedim(-1, 0)[None]
    if tuple(nodes.shape[:-1]) != tuple(size):
        lattice = F.interpolate(lattice, size=tuple(size), mode=_LINEAR[n], align_corners=True)
    return lattice[0].movedim(0, -1)


def resample_by_map(
    moving: Tensor, point_map: PointMap, size: Sequence[int], mode: str = "bilinear", outside: str = "border"
) -> Tensor:
    """Bring the moving image (or its masks) into the frame of the fixed one.

    Args:
        moving: (C, *spatial), float.
        point_map: from the fixed image's points to the moving image's.
        size: sides of the fixed image, px.
        mode: "bilinear" (linear, in 3-D too) or (label maps) "nearest".
        outside: what lies beyond the moving image: "border", its border goes on, or "zeros".

    Returns:
        (C, *size), of the dtype of ``moving``.

    Raises:
        ValueError: when ``mode`` or ``outside`` is unknown, or the image and ``size`` have different dimensions.
    """
    if mode not in _MODES or outside not in _OUTSIDE:
        raise ValueError(f"mode must be one of {_MODES} and outside one of {_OUTSIDE}, got {mode!r} and {outside!r}.")
    if moving.ndim != len(size) + 1:
        raise ValueError(f"moving must be (C, *spatial) with {len(size)} spatial axes, got {tuple(moving.shape)}.")
    place = displaced_pixels(point_map, size)
    sides = torch.tensor(moving.shape[1:], dtype=place.dtype)
    grid = ((place + 0.5) * 2 / sides - 1).flip(-1).to(moving)
    return F.grid_sample(moving[None], grid[None], mode=mode, padding_mode=outside, align_corners=False)[0]


def folding_share(point_map: PointMap, size: Sequence[int]) -> float:
    """Share of the fixed image where the map folds: its Jacobian determinant is not positive.

    Args:
        point_map: the map.
        size: sides of the fixed image, px, at least 2.
    """
    place = displaced_pixels(point_map, size)
    slopes = torch.gradient(place, dim=list(range(len(size))))
    return float((torch.linalg.det(torch.stack(slopes, -2)) <= 0).double().mean())
