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

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from monai_lamps.metrics.anatomy import EmbeddingMetric
from monai_lamps.metrics.figures import Statistic

__all__ = ["EvidenceCorrelation", "evidence_correlation", "evidence_correlation_statistic"]

Array = npt.NDArray[np.float64]


def evidence_correlation(probabilities: Tensor, masses: Tensor) -> float:
    """Rank correlation (Spearman) of what is predicted with how much evidence is shown, over images.

    Args:
        probabilities: (N,), float, of the class that is explained.
        masses: (N,), float, see :func:`~monai_lamps.metrics.evidence.evidence_mass`.

    Returns:
        -1 to 1; NaN for fewer than 3 images, or where either is the same for all.

    Raises:
        ValueError: when the two are not (N,), or a value is not finite.
    """
    return evidence_correlation_statistic(probabilities, masses)(np.ones(len(probabilities)))["evidence_correlation"]


def evidence_correlation_statistic(probabilities: Tensor, masses: Tensor) -> Statistic:
    """``evidence_correlation`` as a function of how often each image counts.

    Args:
        probabilities: (N,), float.
        masses: (N,), float.

    Raises:
        ValueError: when the two are not (N,), or a value is not finite.
    """
    columns = [np.asarray(values.detach().cpu(), dtype=np.float64) for values in (probabilities, masses)]
    if columns[0].ndim != 1 or columns[0].shape != columns[1].shape or not all(np.isfinite(c).all() for c in columns):
        raise ValueError(
            "probabilities and masses must both be finite and (N,), got "
            f"{tuple(probabilities.shape)} and {tuple(masses.shape)}."
        )
    columns = [_rounded(column) for column in columns]
    return lambda weights: {"evidence_correlation": _spearman(columns[0], columns[1], weights)}


class EvidenceCorrelation(EmbeddingMetric):
    """:func:`evidence_correlation` of many images, also those without a lesion; figure ``evidence_correlation``."""

    def __call__(self, probabilities: Tensor, masses: Tensor, patients: Sequence[object] | None = None) -> None:
        """Keep a batch.

        Args:
            probabilities: (B,), float, of the class that is explained.
            masses: (B,), float, see :func:`~monai_lamps.metrics.evidence.evidence_mass`.
            patients: patient of each image; an image that names none is a patient of its own.
        """
        self.gather(probabilities.double(), masses.double(), groups=patients)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """The correlation as a function of how often each image counts."""
        return evidence_correlation_statistic(gathered[0], gathered[1])


def _spearman(first: Array, second: Array, weights: Array) -> float:
    counts = weights > 0
    if counts.sum() < 3:
        return float("nan")
    w = weights[counts] / weights[counts].sum()
    a, b = (_ranks(values[counts], w) for values in (first, second))
    a, b = a - w @ a, b - w @ b
    spread = np.sqrt((w @ a**2) * (w @ b**2))
    return float(np.clip((w @ (a * b)) / spread, -1, 1)) if spread > 1e-12 else float("nan")


def _rounded(values: Array) -> Array:
    """To 12 digits of the largest, so that the means of equal maps are a tie whatever the order of summing."""
    largest = np.abs(values).max(initial=0.0)
    return np.round(values / largest, 12) if largest > 0 else values


def _ranks(values: Array, weights: Array) -> Array:
    """Mean rank of each value as a share of all; a case of weight 2 counts as two equal ones."""
    _, place = np.unique(values, return_inverse=True)
    share = np.bincount(place, weights)
    middle: Array = (np.cumsum(share) - share / 2)[place]
    return middle
