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

import torch
from monai.metrics import compute_dice, compute_iou
from torch import Tensor

from .evidence_metric import EvidenceMetric
from .flat_pairs import check_pairs

__all__ = ["OverlapAt", "dice_at", "iou_at", "scaled_by_maximum"]


def scaled_by_maximum(maps: Tensor) -> Tensor:
    """Each map divided by its own maximum, so that one threshold fits explanations of any scale; zeros stay zeros.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
    """
    highest = maps.flatten(1).amax(dim=1).view(-1, *[1] * (maps.ndim - 1))
    return torch.where(highest > 0, maps / torch.where(highest > 0, highest, 1), maps)


def dice_at(maps: Tensor, masks: Tensor, threshold: float = 0.5) -> Tensor:
    """Dice of the pixels whose evidence is at least a threshold with the truth (MONAI's ``compute_dice``).

    Args:
        maps: (B, 1, *spatial), float, at least 0, on one scale; see :func:`scaled_by_maximum`.
        masks: (B, 1, *spatial), bool or of 0 and 1.
        threshold: above 0, on the scale of the maps.

    Returns:
        (B,) float64 in [0, 1], NaN where the mask is empty.

    Raises:
        ValueError: when a shape does not fit, a map is negative or not finite, or the threshold is not above 0.
    """
    found, truth = _found(maps, masks, threshold)
    return torch.as_tensor(compute_dice(found, truth))[:, 0].double()


def iou_at(maps: Tensor, masks: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union of the pixels whose evidence is at least a threshold with the truth.

    As :func:`dice_at`, with MONAI's ``compute_iou``.
    """
    found, truth = _found(maps, masks, threshold)
    return torch.as_tensor(compute_iou(found, truth))[:, 0].double()


class OverlapAt(EvidenceMetric):
    """:func:`dice_at` and :func:`iou_at` of many images; figures ``dice`` and ``iou``.

    Each map is divided by its own maximum first (:func:`scaled_by_maximum`).

    Args:
        threshold: share of the maximum above which a pixel counts as evidence, above 0 and at most 1.

    Raises:
        ValueError: when the threshold is out of its range.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__(["dice", "iou"])
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be a share of the maximum, above 0 and at most 1, got {threshold}.")
        self.threshold = threshold

    def figures(self, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Dice and IoU (B,)."""
        check_pairs(maps, masks)
        scaled = scaled_by_maximum(maps)
        return {"dice": dice_at(scaled, masks, self.threshold), "iou": iou_at(scaled, masks, self.threshold)}


def _found(maps: Tensor, masks: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}: at 0 the whole image is evidence.")
    values, truth = check_pairs(maps, masks)
    return (values >= threshold).float(), truth.float()
