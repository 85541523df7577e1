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

"""The outline of a synthetic lesion: a turned ellipsoid with a soft, irregular edge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from monai_lamps.transforms.fractal_noise import fractal_noise

__all__ = ["LesionShape"]

_REACH = 1.3  # of the half axes that an irregular outline may reach


@dataclass(frozen=True)
class LesionShape:
    """A soft ellipsoid about a place, in pixels of its image.

    Its opacity is 1 in the middle, falls smoothly over a rim, and is 0 from the outline on; where the outline lies, in
    each direction, is moved in and out by smooth noise.

    Args:
        sides: full length of each axis, px, > 0.
        rim: share of the half axes over which the opacity falls, in (0, 1].
        irregularity: standard deviation of the outline's displacement, share of the half axes, >= 0.
        seed: of direction and outline.
    """

    sides: tuple[float, ...]
    rim: float
    irregularity: float
    seed: int

    def box(self, centre: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
        """The part of an image of spatial ``shape`` px that the lesion can touch about ``centre``, never empty."""
        half = _REACH * torch.linalg.vector_norm(self._axes() / 2, dim=0)  # of the box about a turned ellipsoid
        places = zip(centre, half.tolist(), shape, strict=True)
        return tuple(slice(max(0, math.floor(c - h)), min(side, math.ceil(c + h) + 1)) for c, h, side in places)

    def opacity(self, centre: tuple[int, ...], box: tuple[slice, ...]) -> Tensor:
        """How much of the lesion each pixel of the box shows, (*box) float32 in [0, 1]."""
        lines = [torch.arange(part.start, part.stop) - float(place) for part, place in zip(box, centre)]
        offset = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1)  # [*box, n]
        axes = self._axes()
        unit = axes / axes.square().sum(1, keepdim=True) * 2  # projects on each axis, in half axes
        radius = torch.linalg.vector_norm(offset @ unit.T, dim=-1)
        random = np.random.RandomState((self.seed + 1) % 2**32)
        grain = max(0.5, min(self.sides) / 6)
        moved = self.irregularity * fractal_noise(offset.shape[:-1], grain, random, octaves=2)
        inside = ((_outline(moved) - radius) / self.rim).clamp(0, 1)
        smooth: Tensor = inside * inside * (3 - 2 * inside)
        return smooth

    def _axes(self) -> Tensor:
        """The turned axes as rows, full length, px, (n, n) float32."""
        n = len(self.sides)
        random = np.random.RandomState(self.seed)
        turn = np.linalg.qr(random.standard_normal((n, n)))[0]
        return torch.from_numpy((turn * np.asarray(self.sides)[:, None]).astype(np.float32))


def _outline(moved: Tensor) -> Tensor:
    """Radius of the outline in half axes, within what the box holds."""
    return (1 + moved).clamp(0.4, _REACH)
