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
import torch.nn.functional as F
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import groups_of, mean_over_cases
from .embedding_metric import EmbeddingMetric
from .neighbours import neighbour_hits
from .separation import separation_statistic
from .vectors import unit_vectors

__all__ = ["Locality", "locality", "locality_statistic"]


def locality(
    embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None, neighbours: int = 5
) -> dict[str, float]:
    """Whether patches around the same landmark are alike across patients, and unlike those around others.

    Adam (arXiv 2309.15358, section 3.3) shows this as a t-SNE picture; these are numbers for it.

    Args:
        embeddings: (N, D), float, one patch a row.
        labels: (N,), integers, which landmark; at least two different ones.
        groups: patient of each patch, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.
        neighbours: how many nearest patches vote.

    Returns:
        - ``knn_accuracy``: landmark read from the nearest patches of other patients, 0 to 1;
        - ``knn_chance``: share of the most frequent landmark, which one reaches by always naming it;
        - ``silhouette``, ``davies_bouldin``, ``within_cosine``, ``between_cosine``, ``cosine_gap``: of the landmarks,
          see :func:`~monai_lamps.metrics.anatomy.separation`.

        A figure that is not defined, as with a single patient, is NaN.

    Raises:
        ValueError: when shapes do not fit, a value is not finite, or there is a single landmark.
    """
    return locality_statistic(embeddings, labels, groups, neighbours)(np.ones(len(embeddings)))


def locality_statistic(
    embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None, neighbours: int = 5
) -> Statistic:
    """The figures of :func:`locality` as a function of how often each patch counts.

    Who the nearest patches are is found once among all: a draw of patients would thin the crowd and shift accuracy.

    Args:
        embeddings: as for :func:`locality`, and so are the others.
        labels: (N,).
        groups: (N,).
        neighbours: how many nearest patches vote.

    Raises:
        ValueError: as :func:`locality`.
    """
    require_shape(embeddings, "embeddings", "(N, D)", (None, None))
    require_shape(labels, "labels", "(N,)", (len(embeddings),))
    kinds, number = labels.detach().cpu().unique(return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"labels must name at least 2 landmarks to tell apart, got {kinds.tolist()}.")
    vectors, patients = unit_vectors(embeddings), groups_of(groups, len(embeddings))
    hits = neighbour_hits(vectors, number, patients, neighbours)
    apart, member = separation_statistic(embeddings, number, patients), F.one_hot(number).double()

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        w = torch.from_numpy(weights)
        return {
            "knn_accuracy": mean_over_cases(hits, weights),
            "knn_chance": float((w @ member).max() / w.sum()),
            **apart(weights),
        }

    return figures


class Locality(EmbeddingMetric):
    """Metric class of :func:`locality`.

    Args:
        neighbours: how many nearest patches vote.
    """

    def __init__(self, neighbours: int = 5) -> None:
        super().__init__()
        self.neighbours = neighbours

    def __call__(
        self, embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None
    ) -> None:  # nothing is known before all patches are there
        """Keep a batch of patches.

        Args:
            embeddings: (B, D), float.
            labels: (B,), integers, which landmark.
            groups: patient of each patch.
        """
        self.gather(embeddings, labels, groups=groups)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`locality_statistic`."""
        embeddings, labels, groups = gathered
        return locality_statistic(embeddings, labels, groups, self.neighbours)
