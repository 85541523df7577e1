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

import numpy as np
import torch
from torch import Tensor

from monai_lamps.metrics.ranking import Ranking

from .evidence_metric import EvidenceMetric
from .flat_pairs import flat_pairs

__all__ = ["PixelRanking", "pixel_auroc", "pixel_average_precision"]


def pixel_auroc(maps: Tensor, masks: Tensor) -> Tensor:
    """Area under the ROC curve of each image's pixels: how well the map tells inside from outside at any threshold.

    0.5 for a constant map. Most pixels lie far from any lesion, which makes high values easy; see
    :func:`pixel_average_precision` beside it.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
        masks: (B, 1, *spatial), bool or of 0 and 1.

    Returns:
        (B,) float64 in [0, 1], NaN where the mask is empty or covers everything.

    Raises:
        ValueError: when a shape does not fit, or a map is negative or not finite.
    """
    found = [ranking.roc_auc(np.ones(len(ranking.order))) for ranking in _rankings(maps, masks)]
    return torch.tensor(found, dtype=torch.float64)


def pixel_average_precision(maps: Tensor, masks: Tensor) -> Tensor:
    """Average precision of each image's pixels; a constant map has the share of the image that the mask covers.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
        masks: (B, 1, *spatial), bool or of 0 and 1.

    Returns:
        (B,) float64 in [0, 1], NaN where the mask is empty or covers everything.

    Raises:
        ValueError: when a shape does not fit, or a map is negative or not finite.
    """
    found = [ranking.average_precision(np.ones(len(ranking.order))) for ranking in _rankings(maps, masks)]
    return torch.tensor(found, dtype=torch.float64)


class PixelRanking(EvidenceMetric):
    """:func:`pixel_auroc` and :func:`pixel_average_precision` of many images, of each for itself.

    Figures ``pixel_auroc`` and ``pixel_average_precision``.
    """

    def __init__(self) -> None:
        super().__init__(["pixel_auroc", "pixel_average_precision"])

    def figures(self, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Both figures (B,); the pixels are sorted once."""
        rankings = _rankings(maps, masks)
        ones = [np.ones(len(ranking.order)) for ranking in rankings]
        found = {
            "pixel_auroc": [r.roc_auc(w) for r, w in zip(rankings, ones)],
            "pixel_average_precision": [r.average_precision(w) for r, w in zip(rankings, ones)],
        }
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}


def _rankings(maps: Tensor, masks: Tensor) -> list[Ranking]:
    values, truth = flat_pairs(maps, masks)
    return [Ranking(value.numpy(), inside.numpy()) for value, inside in zip(values, truth)]
