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
from torch import Tensor

from .evidence_metric import EvidenceMetric
from .flat_pairs import flat_pairs

__all__ = ["EnergyInside", "energy_inside", "evidence_mass"]


def energy_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Share of the evidence that lies inside (the energy-based pointing game of Wang et al., arXiv 1910.01279).

    A constant map has the share of the image that the mask covers. A map of zeros says nothing of any place and is
    taken for a constant one, so that it neither wins nor is left out.

    Args:
        maps: (B, 1, *spatial), float, at least 0.
        masks: (B, 1, *spatial), bool or of 0 and 1.

    Returns:
        (B,) float64 in [0, 1], NaN where the mask is empty.

    Raises:
        ValueError: when a shape does not fit, or a map is negative or not finite.
    """
    values, truth = flat_pairs(maps, masks)
    values = torch.where(values.amax(dim=1, keepdim=True) > 0, values, 1.0)
    values = values / values.amax(dim=1, keepdim=True)  # so that the sum of tiny values is not lost
    share = (values * truth).sum(dim=1) / values.sum(dim=1)
    return torch.where(truth.any(dim=1), share, torch.nan)


def evidence_mass(maps: Tensor) -> Tensor:
    """How much evidence an explanation shows: the mean of each map.

    Args:
        maps: (B, 1, *spatial), float, not scaled image by image.

    Returns:
        (B,) float64.
    """
    return maps.detach().double().cpu().flatten(1).mean(dim=1)


class EnergyInside(EvidenceMetric):
    """:func:`energy_inside` of many images; figure ``energy_inside``."""

    def __init__(self) -> None:
        super().__init__(["energy_inside"])

    def figures(self, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Shares (B,), see :func:`energy_inside`."""
        return {"energy_inside": energy_inside(maps, masks)}
