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
import numpy.typing as npt

__all__ = ["Density", "gaussian_density"]

Array = npt.NDArray[np.float64]

_LEAST_BANDWIDTH = 1e-6  # so that values without any spread are a spike, not a division by zero
_REACH = 4  # bandwidths beyond the outermost values


@dataclass(frozen=True)
class Density:
    """A density along a line, to be drawn or measured.

    Attributes:
        at: places, ascending, (points,).
        height: density there, (points,), with an area of 1.
    """

    at: Array
    height: Array

    @property
    def full_width(self) -> float:
        """Full width at half maximum: from the first to the last place where half the greatest height is crossed."""
        half = self.height.max() / 2
        above = np.flatnonzero(self.height >= half)
        first, last = int(above[0]), int(above[-1])
        low = np.interp(half, self.height[first - 1 : first + 1], self.at[first - 1 : first + 1])
        high = np.interp(half, self.height[last : last + 2][::-1], self.at[last : last + 2][::-1])
        return float(high - low)


def gaussian_density(values: npt.ArrayLike, weights: npt.ArrayLike | None = None, points: int = 512) -> Density:
    """Gaussian kernel density with Scott's bandwidth, which is SciPy's default.

    Unlike SciPy's it takes weights for repeated cases, as a bootstrap draws them, and values that are all equal: the
    bandwidth is at least 1e-6.

    Args:
        values: (n,), at least one.
        weights: (n,), how often each counts; once by default.
        points: at how many places the density is given, at least 16; they reach 4 bandwidths beyond the values.

    Raises:
        ValueError: when there is no finite value with a weight, the lengths differ, or ``points`` is below 16.
    """
    if points < 16:
        raise ValueError(f"points must be at least 16, got {points}; 512 is usual.")
    x = np.asarray(values, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if x.ndim != 1 or x.shape != w.shape:
        raise ValueError(f"values and weights must both be (n,), got {x.shape} and {w.shape}.")
    x, w = x[w > 0], w[w > 0]
    if not x.size or not np.isfinite(x).all():
        raise ValueError(f"a density needs at least one value, all of them finite, got {x.size} values.")
    total = w.sum()
    variance = (w * (x - (w * x).sum() / total) ** 2).sum() / max(total - 1, 1)
    bandwidth = max(float(np.sqrt(variance)) * total**-0.2, _LEAST_BANDWIDTH)
    at = np.linspace(x.min() - _REACH * bandwidth, x.max() + _REACH * bandwidth, points)
    kernels = np.exp(-0.5 * ((at[:, None] - x) / bandwidth) ** 2)
    return Density(at, kernels @ w / (total * bandwidth * np.sqrt(2 * np.pi)))
