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

import numpy as np
import torch
from torch import Tensor

from monai_lamps.metrics.anatomy import EmbeddingMetric
from monai_lamps.metrics.figures import Statistic

from .flat_pairs import check_pairs
from .overlap import dice_at, scaled_by_maximum

__all__ = ["THRESHOLDS", "BestOverlap", "best_threshold", "best_threshold_statistic", "dice_by_threshold"]

#: shares of the maximum that are tried
THRESHOLDS = tuple(number / 20 for number in range(1, 20))


def dice_by_threshold(maps: Tensor, masks: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """Dice of each image at several thresholds, each map divided by its own maximum first.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
        masks: (B, 1, *spatial), bool or of 0 and 1.
        thresholds: T shares of the maximum, above 0.

    Returns:
        (B, T) float64, NaN where the mask is empty.

    Raises:
        ValueError: when a shape does not fit, a map is negative or not finite, or a threshold is not above 0.
    """
    check_pairs(maps, masks)
    scaled = scaled_by_maximum(maps)
    return torch.stack([dice_at(scaled, masks, threshold) for threshold in thresholds], dim=1)


def best_threshold(maps: Tensor, masks: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> tuple[float, float]:
    """The threshold with the greatest mean Dice over a set of images, and that mean.

    On the very images that it was chosen by, the mean is optimistic: a bound of what thresholds can give. For an honest
    figure choose it here on validation images and call :func:`~monai_lamps.metrics.evidence.dice_at` on others.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
        masks: (B, 1, *spatial), bool or of 0 and 1; an image with an empty one does not count.
        thresholds: shares of each map's maximum, above 0.

    Returns:
        threshold (the smallest of equal ones) and mean Dice; NaN for both where all masks are empty.

    Raises:
        ValueError: when a shape does not fit, a map is negative or not finite, or a threshold is not above 0.
    """
    dice = dice_by_threshold(maps, masks, thresholds)
    best = best_threshold_statistic(dice, thresholds)(np.ones(len(dice)))
    return best["best_threshold"], best["best_dice"]


def best_threshold_statistic(dice: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Statistic:
    """``best_dice`` and ``best_threshold`` as a function of how often each image counts.

    Args:
        dice: (N, T), from :func:`dice_by_threshold`; rows of NaN do not count.
        thresholds: the T thresholds.
    """
    values = dice.double().cpu().numpy()
    known = np.isfinite(values).all(axis=1)

    def statistic(weights: np.ndarray) -> dict[str, float]:
        own = weights * known
        if not own.sum() > 0:
            return {"best_dice": float("nan"), "best_threshold": float("nan")}
        means = own @ np.where(known[:, None], values, 0.0) / own.sum()
        best = int(means.argmax())
        return {"best_dice": float(means[best]), "best_threshold": float(thresholds[best])}

    return statistic


class BestOverlap(EmbeddingMetric):
    """:func:`best_threshold` of many images; figures ``best_dice`` and ``best_threshold``.

    Args:
        thresholds: shares of each map's maximum, above 0 and at most 1.

    Raises:
        ValueError: when there is no threshold, or one is out of its range.
    """

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS) -> None:
        super().__init__()
        if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
            raise ValueError(f"thresholds must be shares of the maximum, above 0 and at most 1, got {thresholds}.")
        self.thresholds = tuple(thresholds)

    def __call__(self, maps: Tensor, masks: Tensor, patients: Sequence[object] | None = None) -> Tensor:
        """Keep a batch, see :func:`dice_by_threshold`; ``patients`` are for the intervals.

        Returns:
            (B, T) float64.
        """
        dice = dice_by_threshold(maps, masks, self.thresholds)
        self.gather(dice, groups=patients)
        return dice

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Both figures as a function of how often each image counts."""
        return best_threshold_statistic(gathered[0], self.thresholds)
