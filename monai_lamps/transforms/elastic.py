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

__all__ = [
    "add_smooth_noise",
    "affine_grid",
    "affine_map",
    "elastic_std",
    "lattice_shape",
    "lattice_weights",
    "warp",
]

SPACING = 1.25  # of the lattice in sigmas: the variance between its nodes differs by less than 1 %
REACH = 3.0  # sigmas that the lattice reaches beyond the image


def elastic_std(alpha: float, sigma: float) -> float:
    """Standard deviation, px, of the published elastic displacement.

    There, ``alpha`` times uniform noise in [-1, 1] is smoothed by a 2-D Gaussian of ``sigma`` px, which leaves
    ``alpha / sqrt(3) / (2 sqrt(pi) sigma)`` px: 0.81 px for alpha 30 and sigma 6.
    """
    return alpha / math.sqrt(3) / (2 * math.sqrt(math.pi) * sigma)


def lattice_shape(spatial_shape: Sequence[int], sigma: float) -> tuple[int, ...]:
    """Nodes along each axis of the lattice that :py:func:`add_smooth_noise` needs for an image of ``spatial_shape``."""
    return tuple(math.ceil((side - 1 + 2 * REACH * sigma) / (SPACING * sigma)) + 1 for side in spatial_shape)


def lattice_weights(spatial_shape: Sequence[int], sigma: float, like: Tensor) -> list[Tensor]:
    """What each node of the lattice contributes to each pixel, along each axis, for :py:func:`add_smooth_noise`.

    Args:
        spatial_shape: shape of the image, px.
        sigma: px, > 0.
        like: a tensor of the device and type wanted.

    Returns:
        for each axis (side, nodes), the squares of a row sum to 1.
    """
    weights = []
    for side, nodes in zip(spatial_shape, lattice_shape(spatial_shape, sigma), strict=True):
        pixel = torch.arange(side, device=like.device, dtype=like.dtype)
        node = (torch.arange(nodes, device=like.device, dtype=like.dtype) * SPACING - REACH) * sigma
        weight = torch.exp(-((pixel[:, None] - node) ** 2) / (2 * sigma**2))
        weights.append(F.normalize(weight, dim=1))
    return weights


def add_smooth_noise(field: Tensor, noise: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Add a smooth random field, made from white noise on a coarse lattice, in place.

    Each node carries a Gaussian. Where the published recipe draws and smooths one number per pixel, this draws one per
    node (spacing 1.25 sigma); the field has the same correlation (a Gaussian of ``sqrt(2) sigma``) at a small fraction
    of the work, which is one small matrix product per axis. Noise of unit variance gives unit variance at every pixel.

    Args:
        field: (B, *spatial, F), contiguous, changed in place.
        noise: (B, F, *lattice) with zero mean, of the shape that :py:func:`lattice_shape` says.
        weights: from :py:func:`lattice_weights`.

    Returns:
        ``field``.

    Raises:
        ValueError: when the lattice has another shape.
    """
    lattice = tuple(weight.shape[1] for weight in weights)
    if tuple(noise.shape[2:]) != lattice:
        raise ValueError(f"noise must be (B, F, *{lattice}), got {tuple(noise.shape)}; ask lattice_shape.")
    for axis in range(len(lattice) - 1, 0, -1):
        noise = (noise.movedim(axis + 2, -1) @ weights[axis].T).movedim(-1, axis + 2)
    # the first axis comes last: its product is by far the largest, and here it lands in the layout of the field
    rows = weights[0].expand(len(noise), -1, -1)
    field.flatten(2).baddbmm_(rows, noise.movedim(1, -1).flatten(2))
    return field


def affine_map(corners: Tensor, spatial_shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The affine map that moves n + 1 control points by given displacements.

    The control points are corners of a square (cube) of half side ``min(spatial_shape) / 3`` px about the centre: all
    coordinates positive, then axis 0 negated, then axis 1 too, and so on.

    Args:
        corners: (B, n + 1, n) displacement of each control point along each axis, px.
        spatial_shape: n sides of the image, px.

    Returns:
        ``matrix`` (B, n, n) and ``offset`` (B, n): a point q px from the centre goes to ``q @ matrix + offset`` in the
        coordinates of ``torch.nn.functional.grid_sample`` (last axis first, the centres of the border pixels at -1
        and 1).
    """
    n = len(spatial_shape)
    offset = (corners[:, 0] + corners[:, n]) / 2  # the first and the last control point lie opposite
    slope = (corners[:, :-1] - corners[:, 1:]) / (2 * min(spatial_shape) / 3)  # (B, axis moved along, axis displaced)
    matrix = slope + torch.eye(n, device=corners.device, dtype=corners.dtype)
    return _in_grid_units(matrix, spatial_shape), _in_grid_units(offset, spatial_shape)


def affine_grid(matrix: Tensor, offset: Tensor, spatial_shape: Sequence[int]) -> Tensor:
    """Where each pixel goes under the map of :py:func:`affine_map`: a grid for :py:func:`warp`.

    Written axis by axis with whole lines as the innermost loop: an order of magnitude faster than pixel by pixel.

    Args:
        matrix: (B, n, n).
        offset: (B, n).
        spatial_shape: n sides of the image, px.

    Returns:
        (B, *spatial_shape, n), contiguous.
    """
    n, last = len(spatial_shape), spatial_shape[-1]
    place = [torch.arange(side, device=offset.device, dtype=offset.dtype) - (side - 1) / 2 for side in spatial_shape]
    grid = (offset[:, None] + place[-1][:, None] * matrix[:, -1:]).flatten(1)  # (B, W * n)
    for axis in range(n - 2, -1, -1):  # a further axis in front
        ones = [1] * (n - 1 - axis)
        step = matrix[:, axis].repeat(1, last).view(-1, *ones, last * n)
        grid = torch.addcmul(grid[:, None], place[axis].view(-1, *ones), step)
    return grid.view(-1, *spatial_shape, n)


def warp(x: Tensor, grid: Tensor) -> Tensor:
    """Resample a batch at the points of a grid: linear interpolation, mirrored at the borders.

    Args:
        x: (B, C, *spatial), 2-D or 3-D, float.
        grid: (B, *spatial, n) in the coordinates of :py:func:`affine_map`.

    Returns:
        (B, C, *spatial).
    """
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=True)


def _in_grid_units(px: Tensor, spatial_shape: Sequence[int]) -> Tensor:
    """Lengths along the axes (..., n), px, in the units and the order of ``torch.nn.functional.grid_sample``."""
    units = [2 / max(side - 1, 1) for side in spatial_shape]
    return torch.stack([px[..., axis] * units[axis] for axis in range(len(units) - 1, -1, -1)], -1)
