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

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["AffineFit", "AffineMap", "RegistrationError"]

_REFITS = 5


class RegistrationError(ValueError):
    """Two images cannot be aligned: too few of their matches agree."""


@dataclass(frozen=True)
class AffineMap:
    """``points @ matrix + offset``.

    Args:
        matrix: (n, n), float64.
        offset: (n,), px, float64.
    """

    matrix: Tensor
    offset: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Map points (N, n) px to (N, n) float64 px."""
        return points.to(self.matrix) @ self.matrix + self.offset


@dataclass(frozen=True)
class AffineFit:
    """The affine map that most matches agree with: RANSAC (Fischler and Bolles, 1981), all trials at once.

    Each trial takes n + 1 matches at random and counts those that its map carries to within the tolerance; the map with
    most is fitted anew to all of them by least squares until they stay the same. Maps that mirror, or stretch by more
    than ``largest_scale`` in any direction, are no alignment of two patients and are passed over.

    Args:
        trials: samples of matches; 1000 find the map with 99 % certainty where a sixth of them are right (in 2-D).
        largest_scale: at least 1.
        seed: the same seed gives the same map.

    Raises:
        ValueError: when an argument is out of its range.
    """

    trials: int = 1000
    largest_scale: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials must be at least 1, got {self.trials}; 1000 is usual.")
        if not self.largest_scale >= 1:
            raise ValueError(f"largest_scale must be at least 1, got {self.largest_scale}; e.g. 2.")

    def __call__(self, fixed: Tensor, moving: Tensor, tolerance: float) -> AffineMap:
        """Fit a map from the fixed image's points to the moving image's.

        Args:
            fixed: (M, n), px.
            moving: (M, n), px, what each point of ``fixed`` matches.
            tolerance: px of the moving image, up to which a match agrees with a map.

        Raises:
            RegistrationError: when there are fewer than n + 1 matches, or none of the trials gives a possible map.
        """
        a, b = fixed.detach().cpu().double(), moving.detach().cpu().double()
        n = a.shape[1]
        if len(a) <= n:
            raise RegistrationError(
                f"an affine map needs at least {n + 1} matches, got {len(a)}; use finer feature maps."
            )
        order = np.random.default_rng(self.seed).random((self.trials, len(a))).argpartition(n, axis=1)[:, : n + 1]
        sample = torch.from_numpy(order)
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)  # (M, n + 1)
        maps, failed = torch.linalg.solve_ex(design[sample], b[sample])  # (trials, n + 1, n)
        possible = (failed == 0) & self._possible(maps)
        agree = ((design @ maps - b).norm(dim=2) <= tolerance) & possible[:, None]
        votes = agree.sum(1)
        best = agree[int(votes.argmax())]
        if int(votes.max()) <= n:
            raise RegistrationError(
                f"no possible affine map agrees with more than {int(votes.max())} of {len(a)} matches within "
                f"{tolerance:.4g} px; use a better encoder, or a larger tolerance."
            )
        return self._refitted(design, b, best, maps[int(votes.argmax())], tolerance)

    def _refitted(self, design: Tensor, b: Tensor, agree: Tensor, found: Tensor, tolerance: float) -> AffineMap:
        """Least squares over those who agree, until nobody changes his mind."""
        for _ in range(_REFITS):
            refit = torch.linalg.lstsq(design[agree], b[agree]).solution
            if not bool(self._possible(refit[None])):
                break
            found = refit
            now = (design @ found - b).norm(dim=1) <= tolerance
            if torch.equal(now, agree) or int(now.sum()) < design.shape[1]:
                break
            agree = now
        return AffineMap(found[:-1], found[-1])

    def _possible(self, maps: Tensor) -> Tensor:
        """Which maps (T, n + 1, n) neither mirror nor stretch too much, (T,) bool."""
        matrix = maps[:, :-1].nan_to_num(0.0, 0.0, 0.0)
        scale = torch.linalg.svdvals(matrix)
        bounded = (scale <= self.largest_scale).all(1) & (scale >= 1 / self.largest_scale).all(1)
        proper: Tensor = bounded & (torch.linalg.det(matrix) > 0)
        return proper
