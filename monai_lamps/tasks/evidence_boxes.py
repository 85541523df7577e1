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
"""Boxes around the strongest evidence in a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["EvidenceBox", "evidence_boxes"]


@dataclass(frozen=True)
class EvidenceBox:
    """Where evidence hangs together.

    Attributes:
        x, y: left and upper edge, px of the map.
        width, height: px, at least 1.
        score: mean of the map over the region, at least the threshold.
        region: (H, W), bool: the pixels that it is drawn around.
    """

    x: int
    y: int
    width: int
    height: int
    score: float
    region: Tensor

    def scaled(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(x, y, width, height) where the map is enlarged to (height, width) px, rounded outwards."""
        height, width = size
        down, right = height / self.region.shape[0], width / self.region.shape[1]
        left, top = int(np.floor(self.x * right)), int(np.floor(self.y * down))
        end = min(width, int(np.ceil((self.x + self.width) * right)))
        bottom = min(height, int(np.ceil((self.y + self.height) * down)))
        return left, top, end - left, bottom - top


def evidence_boxes(evidence: Tensor, threshold: float = 0.5, count: int = 5) -> list[EvidenceBox]:
    """Boxes around the connected regions of a map that reach a threshold.

    Pixels that touch at a corner are connected. The strongest region comes first: that with the largest sum of the map.

    Args:
        evidence: the map (H, W), float in [0, 1].
        threshold: above 0 and at most 1; of a map of an :class:`~monai_lamps.networks.EvidenceNetwork` 0.5 is what 99.5
            % of the pixels of normal images stay below.
        count: how many regions at the most, >= 0.

    Raises:
        ValueError: when an argument is out of its range, or the map is not (H, W).
    """
    if not 0 < threshold <= 1 or count < 0:
        raise ValueError(f"threshold got {threshold} and count {count}, expected above 0 and at most 1, and >= 0.")
    if evidence.ndim != 2:
        raise ValueError(f"expected a map (H, W), got {tuple(evidence.shape)}.")
    values = evidence.detach().cpu().double().numpy()
    labels, found = ndimage.label(values >= threshold, structure=np.ones((3, 3)))
    sums = ndimage.sum_labels(values, labels, range(1, found + 1))
    places = ndimage.find_objects(labels)
    boxes = []
    for number in np.argsort(-np.asarray(sums), kind="stable")[:count]:
        rows, columns = places[number]
        region = labels == number + 1
        width, height = columns.stop - columns.start, rows.stop - rows.start
        score = float(sums[number]) / int(region.sum())
        boxes.append(EvidenceBox(columns.start, rows.start, width, height, score, torch.from_numpy(region)))
    return boxes
