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
from itertools import pairwise

from torch import Tensor

__all__ = ["THRESHOLDS", "point_errors", "point_figure_names", "within"]

#: px: half a cell and a cell of 32 px
THRESHOLDS = (16.0, 32.0)


def point_errors(
    found: Tensor, truth: Tensor, image_size: Sequence[int], thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float]:
    """How far points lie from where they should.

    - ``error_px``, ``error_median_px``: mean and median distance;
    - ``nme_side``, ``nme_diagonal``: normalised mean error, a share of the image's shorter side and of its diagonal;
    - ``pck_<t>px``: percentage of correct keypoints as a share, those at most t px away.

    Args:
        found: (N, n), px.
        truth: (N, n), px; a point with NaN in it or in ``found`` is left out.
        image_size: sides of the image that both lie in, px.
        thresholds: px, increasing.

    Returns:
        the figures, all NaN without points.

    Raises:
        ValueError: when the shapes differ, or the thresholds are not positive and increasing.
    """
    names = point_figure_names(thresholds)
    if found.ndim != 2 or found.shape != truth.shape or found.shape[1] != len(image_size):
        raise ValueError(
            f"found and true points must both be (N, {len(image_size)}) px, got {tuple(found.shape)} and "
            f"{tuple(truth.shape)}."
        )
    distance = (found.double() - truth.to(found.device).double()).norm(dim=1)
    distance = distance[~distance.isnan()]
    if not len(distance):
        return dict.fromkeys(names, math.nan)
    mean = float(distance.mean())
    values = [mean, float(distance.quantile(0.5)), mean / min(image_size), mean / math.hypot(*image_size)]
    values += [within(distance, threshold) for threshold in thresholds]
    return dict(zip(names, values))


def within(distance: Tensor, threshold: float) -> float:
    """Share of distances (N,) that are at most ``threshold``, NaN without any."""
    return float((distance <= threshold).double().mean())


def point_figure_names(thresholds: Sequence[float] = THRESHOLDS) -> tuple[str, ...]:
    """Names of the figures of :func:`point_errors`.

    Raises:
        ValueError: when the thresholds are not positive and increasing.
    """
    if not thresholds or thresholds[0] <= 0 or any(a >= b for a, b in pairwise(thresholds)):
        raise ValueError(f"thresholds must be positive and increasing px, got {list(thresholds)}; e.g. [16, 32].")
    share = [f"pck_{threshold:g}px" for threshold in thresholds]
    return ("error_px", "error_median_px", "nme_side", "nme_diagonal", *share)
