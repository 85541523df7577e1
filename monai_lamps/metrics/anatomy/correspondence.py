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

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .case_figures import CaseFigures
from .dense_grid import cell_centres, cell_sides, inside, sample_features
from .matching import match_back, match_descriptors
from .point_errors import THRESHOLDS, point_errors, point_figure_names, within

__all__ = ["Correspondence", "correspondence"]

_EXTRA = ("mutual_share", "inlier_share", "chance_px", "stay_px")


def correspondence(
    features_a: Tensor,
    features_b: Tensor,
    points_a: Tensor,
    truth_b: Tensor,
    image_size: Sequence[int],
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, float]:
    """Are points of image A found at their true places in image B, of which the correspondence is known?

    Each point's features (interpolated) are looked for among the cells of B (largest cosine, refined, see
    :func:`~monai_lamps.metrics.anatomy.match_descriptors`). The figures are those of
    :func:`~monai_lamps.metrics.anatomy.point_errors`, and

    - ``mutual_share``: share of points whose match, looked for in A again, lies within one cell of the point along
      every axis;
    - ``inlier_share``: share of those that are also right, at most ``thresholds[0]`` px off. NaN if there are none;
    - ``chance_px``: mean error of an answer drawn evenly among the cells of B: what features that know nothing reach;
    - ``stay_px``: mean error of the answer "at the same place as in A", which needs no features.

    Points that lie outside A, or whose true place lies outside B, are left out. The refinement apart, an error of about
    0.38 cells (a point somewhere in the right cell, in 2-D) is the resolution of the map.

    Args:
        features_a: (D, *grid), float.
        features_b: (D, *grid), float, of an image of the same size.
        points_a: (N, n), px: (row, column[, slice]), pixel centres are whole numbers.
        truth_b: (N, n), px, where they are in B, e.g. from :class:`~monai_lamps.transforms.RandKnownWarp`.
        image_size: sides of both images, px.
        thresholds: px, increasing.

    Returns:
        the figures; all NaN when no point is left.

    Raises:
        ValueError: when a shape does not fit, a feature is not finite, or the thresholds are not increasing.
    """
    if points_a.ndim != 2 or points_a.shape != truth_b.shape or points_a.shape[1] != len(image_size):
        raise ValueError(
            f"points_a and truth_b must both be (N, {len(image_size)}) px, got {tuple(points_a.shape)} and "
            f"{tuple(truth_b.shape)}."
        )
    device = features_a.device
    points, truth = points_a.to(device, torch.float64), truth_b.to(device, torch.float64)
    seen = inside(points, image_size) & inside(truth, image_size)
    points, truth = points[seen], truth[seen]
    matches = match_descriptors(sample_features(features_a, points, image_size), features_b, image_size)
    figures = point_errors(matches.points, truth, image_size, thresholds)
    if not len(points):
        return figures | dict.fromkeys(_EXTRA, math.nan)
    back = match_back(matches, features_a, features_b, (image_size, image_size))
    mutual = ((back - points).abs() <= cell_sides(features_a.shape[1:], image_size).to(device)).all(1)
    error = (matches.points - truth).norm(dim=1)
    cells = cell_centres(features_b.shape[1:], image_size).to(truth)
    return figures | {
        "mutual_share": float(mutual.double().mean()),
        "inlier_share": within(error[mutual], thresholds[0]),
        "chance_px": float(torch.cdist(truth, cells).mean()),
        "stay_px": float((points - truth).norm(dim=1).mean()),
    }


class Correspondence(CaseFigures):
    """:func:`correspondence` of one pair of images after another, and the means over the pairs.

    Args:
        thresholds: px, increasing.

    Raises:
        ValueError: when the thresholds are not positive and increasing.
    """

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS) -> None:
        super().__init__([*point_figure_names(thresholds), *_EXTRA])
        self.thresholds = tuple(thresholds)

    def __call__(
        self,
        features_a: Tensor,
        features_b: Tensor,
        points_a: Tensor,
        truth_b: Tensor,
        image_size: Sequence[int],
        patient: object = None,
    ) -> dict[str, float]:
        """Judge one pair by :func:`correspondence`; ``patient`` is for the intervals."""
        figures = correspondence(features_a, features_b, points_a, truth_b, image_size, self.thresholds)
        self.add(figures, patient)
        return figures
