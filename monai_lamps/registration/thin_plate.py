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

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from .affine import AffineFit, RegistrationError
from .point_map import PointFit, PointMap

__all__ = ["ThinPlateFit", "ThinPlateMap"]

_KERNEL = {2: "thin_plate_spline", 3: "linear"}  # r^2 log r and -r: both bend least, in two and in three dimensions


@dataclass(frozen=True)
class ThinPlateMap:
    """An affine map and a smooth displacement on top of it.

    Args:
        affine: the affine part.
        spline: points (N, n), in units of ``unit``, to displacements (N, n), px.
        unit: px.
    """

    affine: PointMap
    spline: Callable[..., object]
    unit: float

    def __call__(self, points: Tensor) -> Tensor:
        """Map points (N, n) px to (N, n) float64 px."""
        p = points.detach().cpu().double()
        return self.affine(p) + torch.as_tensor(self.spline(p.numpy() / self.unit))


@dataclass(frozen=True)
class ThinPlateFit:
    """A smooth deformation that follows the matches: thin-plate spline with smoothing (Bookstein, 1989; Wahba, 1990).

    An affine map is found first. Matches that stray from it by more than ``reach`` tolerances are taken for wrong and
    left out; what the others stray is smoothed by a spline (SciPy's ``RBFInterpolator``).

    Args:
        smoothing: weight of bending against closeness to the matches; 0 runs through every match, a large one leaves
            an affine map. Places count in extents of the matches, so it means the same at every resolution.
        reach: in tolerances, at least 1.
        affine: how the affine map is found.

    Raises:
        ValueError: when an argument is out of its range.
    """

    smoothing: float = 0.1
    reach: float = 3.0
    affine: PointFit = field(default_factory=AffineFit)

    def __post_init__(self) -> None:
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing must be at least 0, got {self.smoothing}; 0.1 is usual.")
        if not self.reach >= 1:
            raise ValueError(f"reach must be at least 1, got {self.reach}; 3 is usual.")

    def __call__(self, fixed: Tensor, moving: Tensor, tolerance: float) -> ThinPlateMap:
        """Fit a map from the fixed image's points to the moving image's.

        Args:
            fixed: (M, n), px, all different.
            moving: (M, n), px, what each point of ``fixed`` matches.
            tolerance: px of the moving image, up to which a match agrees with the affine map.

        Raises:
            RegistrationError: when no affine map is found, or the matches near it lie on one line (plane).
        """
        a, b = fixed.detach().cpu().double(), moving.detach().cpu().double()
        affine = self.affine(a, b, tolerance)
        stray = b - affine(a)
        near = stray.norm(dim=1) <= self.reach * tolerance
        a, stray = a[near], stray[near]
        n = a.shape[1]
        unit = float((a.amax(0) - a.amin(0)).max())
        if int(torch.linalg.matrix_rank(a - a.mean(0))) < n:
            raise RegistrationError(f"the {len(a)} matches that agree span no {n}-D region; use finer feature maps.")
        spline = RBFInterpolator(
            (a / unit).numpy(), stray.numpy(), kernel=_KERNEL[n], smoothing=self.smoothing, degree=1
        )
        return ThinPlateMap(affine, spline, unit)
