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
from scipy import ndimage
from torch import Tensor

from .evidence_metric import EvidenceMetric
from .flat_pairs import check_pairs

__all__ = ["PointingGame", "pointing_game"]


def pointing_game(maps: Tensor, masks: Tensor, tolerance: float = 0.0) -> Tensor:
    """Whether the strongest evidence lies inside (Zhang et al., arXiv 1608.00507, section 4.1).

    Where several pixels share the maximum, the share of them that lies inside counts; so a constant map, and one of
    zeros, which says nothing, have the chance of a blind guess.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
        masks: (B, 1, *spatial), bool or of 0 and 1.
        tolerance: how far outside still counts, px between pixel centres; the paper has 15.

    Returns:
        (B,) float64 in [0, 1], NaN where the mask is empty.

    Raises:
        ValueError: when a shape does not fit, a map is negative or not finite, or the tolerance is negative.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0 px, got {tolerance}.")
    values, truth = check_pairs(maps, masks)
    hits = []
    for value, inside in zip(values[:, 0], truth[:, 0]):
        if not inside.any():
            hits.append(float("nan"))
            continue
        near = inside
        if tolerance > 0:
            near = torch.from_numpy(ndimage.distance_transform_edt(~inside.numpy()) <= tolerance)
        hits.append(float(near[value == value.max()].double().mean()))
    return torch.tensor(hits, dtype=torch.float64)


class PointingGame(EvidenceMetric):
    """:func:`pointing_game` of many images; figure ``pointing_game``.

    Args:
        tolerance: how far outside still counts, px.

    Raises:
        ValueError: when the tolerance is negative.
    """

    def __init__(self, tolerance: float = 0.0) -> None:
        super().__init__(["pointing_game"])
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0 px, got {tolerance}.")
        self.tolerance = tolerance

    def figures(self, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Hits (B,), see :func:`pointing_game`."""
        return {"pointing_game": pointing_game(maps, masks, self.tolerance)}
