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
"""Points of one image found again in another by their features: the largest cosine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .dense_grid import cell_centres, cell_sides, check_map, sample_features, unit_features

__all__ = ["Matches", "Pairs", "match_back", "match_descriptors", "mutual_matches"]

_AT_ONCE = 1024  # descriptors whose cosines are held at a time


@dataclass(frozen=True)
class Matches:
    """Where descriptors were found.

    Attributes:
        points: (N, n) float32, px of the image that was searched.
        similarity: (N,) float32, cosine of the best cell.
    """

    points: Tensor
    similarity: Tensor


@dataclass(frozen=True)
class Pairs:
    """Points of two images that chose each other.

    Attributes:
        points_a: (M, n) float32, px of the first image.
        points_b: (M, n) float32, px of the second.
        similarity: (M,) float32, cosine.
    """

    points_a: Tensor
    points_b: Tensor
    similarity: Tensor


def match_descriptors(descriptors: Tensor, features: Tensor, image_size: Sequence[int]) -> Matches:
    """Find each descriptor in an image: the cell of the largest cosine, refined to a part of a cell.

    Along each axis a parabola through the cosines of the best cell and its two neighbours puts the point at its summit,
    at most half a cell away. It has no parameter, whereas the temperature of a soft argmax would suit one encoder's
    range of cosines and not another's. At the border of the map, and where all three are equal, the cell's centre
    stays. Of cells with equal cosines the first is taken.

    Args:
        descriptors: (N, D), unit vectors.
        features: (D, *grid), float, of the image that is searched.
        image_size: its sides, px.

    Returns:
        the places and their cosines.

    Raises:
        ValueError: when the map does not fit the image, or the descriptors are not (N, D).
    """
    check_map(features, image_size)
    if descriptors.ndim != 2 or descriptors.shape[1] != len(features):
        raise ValueError(
            f"descriptors must be (N, {len(features)}) like the features {tuple(features.shape)}, got "
            f"{tuple(descriptors.shape)}; use one encoder for both images."
        )
    grid = tuple(features.shape[1:])
    cells = unit_features(features).flatten(1)
    sides, corner = cell_sides(grid, image_size).to(cells), cell_centres(grid, image_size)[0].to(cells)
    points, similarity = [], []
    for part in descriptors.to(cells).split(_AT_ONCE):
        cosine = part @ cells
        best, index = cosine.max(1)
        places = _refine(cosine, best, torch.stack(torch.unravel_index(index, grid), 1), grid)
        points.append(places * sides + corner)
        similarity.append(best)
    if not points:
        return Matches(cells.new_zeros(0, len(grid)), cells.new_zeros(0))
    return Matches(torch.cat(points), torch.cat(similarity))


def match_back(matches: Matches, features_a: Tensor, features_b: Tensor, sizes: Sequence[Sequence[int]]) -> Tensor:
    """Where matches of points of image A in image B lie when they are looked for in A again.

    Args:
        matches: places in B.
        features_a: (D, *grid), float.
        features_b: (D, *grid), float.
        sizes: sides of A and of B, px.

    Returns:
        (N, n) float32, px of A.
    """
    descriptors = sample_features(features_b, matches.points, sizes[1])
    return match_descriptors(descriptors, features_a, sizes[0]).points


def mutual_matches(
    features_a: Tensor, features_b: Tensor, size_a: Sequence[int], size_b: Sequence[int] | None = None
) -> Pairs:
    """Cells of A whose best cell in B has them as its own best cell: mutual nearest neighbours.

    Args:
        features_a: (D, *grid), float.
        features_b: (D, *grid), float.
        size_a: sides of image A, px.
        size_b: sides of image B, px; those of A by default.

    Returns:
        the cells' centres in A, the refined places in B and their cosines.

    Raises:
        ValueError: when a map does not fit its image, or the maps have different channels.
    """
    size_b = size_a if size_b is None else size_b
    check_map(features_a, size_a)
    centres = cell_centres(features_a.shape[1:], size_a).to(features_a.device)
    descriptors = unit_features(features_a).flatten(1).T
    matches = match_descriptors(descriptors, features_b, size_b)
    chosen = _best_cells(descriptors, unit_features(features_b).flatten(1))
    choosing = _best_cells(unit_features(features_b).flatten(1).T, descriptors.T)
    mutual = choosing[chosen] == torch.arange(len(chosen), device=chosen.device)
    return Pairs(centres[mutual], matches.points[mutual], matches.similarity[mutual])


def _best_cells(descriptors: Tensor, cells: Tensor) -> Tensor:
    """The cell of the largest cosine for each descriptor, (N,) int64."""
    return torch.cat([(part @ cells).argmax(1) for part in descriptors.split(_AT_ONCE)])


def _refine(cosine: Tensor, best: Tensor, place: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Best cells (N, n) to places between cells, (N, n) float."""
    rows = torch.arange(len(cosine), device=cosine.device)
    maps = cosine.view(len(cosine), *grid)
    refined = []
    for axis, cells in enumerate(grid):
        around = []
        for step in (-1, 1):
            near = [place[:, a] for a in range(len(grid))]
            near[axis] = (near[axis] + step).clamp(0, cells - 1)
            index = (rows, *near)
            around.append(maps[index])
        before, after = around
        curvature = 2 * best - before - after
        bent = (place[:, axis] > 0) & (place[:, axis] < cells - 1) & (curvature > 1e-6)
        shift = torch.where(bent, (after - before) / (2 * curvature.clamp(min=1e-6)), 0.0)
        refined.append(place[:, axis] + shift)
    return torch.stack(refined, 1)
