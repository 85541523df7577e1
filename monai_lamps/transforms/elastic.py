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

"""Elastic and affine deformation of a batch in one interpolation, from random numbers given as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["elastic_std", "lattice_shape", "smooth_noise", "warp"]

SPACING = 1.25  # of the lattice in sigmas: the variance between its nodes differs by less than 1 %
REACH = 3.0  # sigmas that the lattice reaches beyond the image


def elastic_std(alpha: float, sigma: float) -> float:
    """Standard deviation, px, of the published elastic displacement.

    There, ``alpha`` times uniform noise in [-1, 1] is smoothed by a 2-D Gaussian of ``sigma`` px, which leaves
    ``alpha / sqrt(3) / (2 sqrt(pi) sigma)`` px: 0.81 px for alpha 30 and sigma 6.
    """
    return alpha / math.sqrt(3) / (2 * math.sqrt(math.pi) * sigma)


def lattice_shape(spatial_shape: Sequence[int], sigma: float) -> tuple[int, ...]:
    """Nodes along each axis of the lattice that :py:func:`smooth_noise` needs for an image of ``spatial_shape``."""
    return tuple(math.ceil((side - 1 + 2 * REACH * sigma) / (SPACING * sigma)) + 1 for side in spatial_shape)


def smooth_noise(noise: Tensor, spatial_shape: Sequence[int], sigma: float) -> Tensor:
    """Smooth random field from white noise on a coarse lattice.

    Each node carries a Gaussian of ``sigma`` px. Where the published recipe draws and smooths one number per pixel,
    this draws one per node (spacing 1.25 sigma); the field has the same correlation (a Gaussian of ``sqrt(2) sigma``)
    at a small fraction of the work, which is one small matrix product per axis.

    Args:
        noise: (B, F, *lattice) with zero mean and unit variance, of the shape :py:func:`lattice_shape` says.
        spatial_shape: shape of the image, px.
        sigma: px, > 0.

    Returns:
        (B, F, *spatial_shape) with zero mean and unit variance at every pixel.

    Raises:
        ValueError: when the lattice has another shape.
    """
    expected = lattice_shape(spatial_shape, sigma)
    if tuple(noise.shape[2:]) != expected:
        raise ValueError(
            f"noise for {tuple(spatial_shape)} px and sigma {sigma} must be (B, F, *{expected}), got "
            f"{tuple(noise.shape)}; ask lattice_shape."
        )
    field = noise
    for axis, (side, nodes) in enumerate(zip(spatial_shape, expected, strict=True), start=2):
        pixel = torch.arange(side, device=noise.device, dtype=noise.dtype)
        node = (torch.arange(nodes, device=noise.device, dtype=noise.dtype) * SPACING - REACH) * sigma
        weight = torch.exp(-((pixel[:, None] - node) ** 2) / (2 * sigma**2))
        weight = F.normalize(weight, dim=1)  # unit sum of squares: variance stays 1
        field = (field.movedim(axis, -1) @ weight.T).movedim(-1, axis)
    return field


def warp(x: Tensor, shift: Tensor, corners: Tensor) -> Tensor:
    """Resample a batch at displaced points: an affine map, then a displacement field, in one interpolation.

    The affine map is given by how far it moves n + 1 control points, the corners of a square (cube) of half side
    ``min(spatial) / 3`` px about the centre: all coordinates positive, then axis 0 negated, then axis 1 too, and so on.
    Linear interpolation, mirrored at the borders.

    Args:
        x: (B, C, *spatial), 2-D or 3-D, float.
        shift: (B, n, *spatial) displacement along each axis, px.
        corners: (B, n + 1, n) displacement of each control point along each axis, px.

    Returns:
        (B, C, *spatial).
    """
    n, spatial = x.ndim - 2, x.shape[2:]
    half = min(spatial) / 3
    offset = (corners[:, 0] + corners[:, n]) / 2  # the first and the last control point lie opposite
    slope = (corners[:, :-1] - corners[:, 1:]) / (2 * half)  # (B, axis moved along, axis displaced)
    view = (-1, *[1] * n)
    point, rel = [], []  # elastically displaced pixel coordinates, absolute and from the centre
    for axis, side in enumerate(spatial):
        along = torch.arange(side, device=x.device, dtype=x.dtype).view([side if k == axis else 1 for k in range(n)])
        point.append(shift[:, axis] + along)
        rel.append(point[axis] - (side - 1) / 2)
    grid = []
    for axis, side in enumerate(spatial):
        place = point[axis] + offset[:, axis].view(view)
        for k in range(n):
            place = torch.addcmul(place, rel[k], slope[:, k, axis].view(view))
        grid.append(place * (2 / max(side - 1, 1)) - 1)
    # grid_sample wants the last spatial axis first
    return F.grid_sample(x, torch.stack(grid[::-1], -1), mode="bilinear", padding_mode="reflection", align_corners=True)
