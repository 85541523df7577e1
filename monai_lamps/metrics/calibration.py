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

__all__ = ["Reliability", "brier_score", "reliability"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """The reliability curve: in bins of equal width, how often what was predicted came true.

    Attributes:
        confidence: mean predicted probability of each bin, (bins,); NaN in an empty one.
        frequency: share of positives in each bin, (bins,); NaN in an empty one.
        weight: total weight of the cases in each bin, (bins,).
    """

    confidence: Array
    frequency: Array
    weight: Array

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al., AAAI 2015): mean of |frequency - confidence| over the cases."""
        total = self.weight.sum()
        filled = self.weight > 0
        gaps = np.abs(self.frequency - self.confidence)[filled]
        return float((gaps * self.weight[filled]).sum() / total) if total else float("nan")


def reliability(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None, bins: int = 10
) -> Reliability:
    """How often predictions come true, by how sure they are.

    The bins are those of MONAI's ``calibration_binning``, which knows no weights: [0, 1 / bins), ..., the last one
    with its upper end.

    Args:
        probabilities: (n,), in [0, 1].
        labels: (n,), 0 or 1.
        weights: (n,), how often each case counts; once by default.
        bins: number of bins, at least 1.

    Raises:
        ValueError: when ``bins`` is below 1, the lengths differ, or a probability lies outside [0, 1].
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}; 10 is usual.")
    p, y, w = _checked(probabilities, labels, weights)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    total = np.bincount(place, weights=w, minlength=bins).astype(np.float64)
    sure, true = np.bincount(place, weights=w * p, minlength=bins), np.bincount(place, weights=w * y, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(sure / total, true / total, total)


def brier_score(probabilities: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Mean squared difference of probability and label (Brier, 1950, for one event), NaN without cases.

    Args:
        probabilities: (n,), in [0, 1].
        labels: (n,), 0 or 1.
        weights: (n,), how often each case counts; once by default.

    Raises:
        ValueError: when the lengths differ, or a probability lies outside [0, 1].
    """
    p, y, w = _checked(probabilities, labels, weights)
    return float((w * (p - y) ** 2).sum() / w.sum()) if w.sum() else float("nan")


def _checked(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Array, Array, Array]:
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or not p.shape == y.shape == w.shape:
        raise ValueError(f"probabilities, labels and weights must all be (n,), got {p.shape}, {y.shape} and {w.shape}.")
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probabilities must lie in [0, 1], got [{p.min():.4g}, {p.max():.4g}]; apply the activation.")
    return p, y, w
