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
import torch
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import groups_of
from .clusters import Clusters
from .embedding_metric import EmbeddingMetric
from .vectors import unit_vectors

__all__ = ["Separation", "separation", "separation_statistic"]


def separation(embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None) -> dict[str, float]:
    """Whether embeddings of the same label lie together, apart from those of other labels.

    Args:
        embeddings: (N, D), float, one case a row.
        labels: (N,), integers; at least two different ones.
        groups: patient of each case, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.

    Returns:
        - ``silhouette``: -1 to 1 (perfect), cosine distance; 0 for a constant encoder;
        - ``davies_bouldin``: 0 (perfect) upwards, of the embeddings at length 1; NaN for a constant encoder;
        - ``within_cosine``, ``between_cosine``: mean over pairs of the same and of different labels; both over pairs of
          different patients, so that the looks of a single radiograph do not count; NaN with a single patient;
        - ``cosine_gap``: the former minus the latter, 0 for a constant encoder.

    Raises:
        ValueError: when shapes do not fit, a value is not finite, or there is a single label.
    """
    return separation_statistic(embeddings, labels, groups)(np.ones(len(embeddings)))


def separation_statistic(
    embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None
) -> Statistic:
    """The figures of :func:`separation` as a function of how often each case counts.

    Args:
        embeddings: (N, D), float.
        labels: (N,), integers.
        groups: (N,).

    Raises:
        ValueError: as :func:`separation`.
    """
    require_shape(embeddings, "embeddings", "(N, D)", (None, None))
    require_shape(labels, "labels", "(N,)", (len(embeddings),))
    kinds, number = labels.detach().cpu().unique(return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"labels must name at least 2 kinds to tell apart, got {kinds.tolist()}.")
    vectors, patients = unit_vectors(embeddings), groups_of(groups, len(embeddings))
    clusters = Clusters(vectors, number)
    across = patients[:, None] != patients
    alike = number[:, None] == number
    within, between = (_Pairs(vectors, across & kind) for kind in (alike, ~alike))

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        w = torch.from_numpy(weights)
        near, far = within.mean(w), between.mean(w)
        return {
            "silhouette": clusters.silhouette(w),
            "davies_bouldin": clusters.davies_bouldin(w),
            "within_cosine": near,
            "between_cosine": far,
            "cosine_gap": near - far,
        }

    return figures


class Separation(EmbeddingMetric):
    """Metric class of :func:`separation`."""

    def __call__(self, embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None) -> None:
        """Keep a batch of cases.

        Args:
            embeddings: (B, D), float.
            labels: (B,), integers.
            groups: patient of each case.
        """
        self.gather(embeddings, labels, groups=groups)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`separation_statistic`."""
        embeddings, labels, groups = gathered
        return separation_statistic(embeddings, labels, groups)


class _Pairs:
    """Mean cosine over pairs of cases that a mask allows, each pair counted by both weights."""

    def __init__(self, vectors: Tensor, allowed: Tensor) -> None:
        self.allowed = allowed.double()
        self.cosines = (vectors @ vectors.T) * self.allowed

    def mean(self, weights: Tensor) -> float:
        total = float(weights @ self.allowed @ weights)
        return float(weights @ self.cosines @ weights) / total if total > 0 else float("nan")
