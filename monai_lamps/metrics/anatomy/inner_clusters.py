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

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import groups_of, mean_over_cases
from .embedding_metric import EmbeddingMetric
from .retrieval import retrieval_statistic
from .separation import separation_statistic
from .vectors import unit_vectors

__all__ = ["InnerClusters", "inner_clusters", "inner_clusters_statistic"]

_FIGURES = ("silhouette", "knn_accuracy", "knn_chance")


def inner_clusters(
    embeddings: Tensor,
    labels: Tensor,
    inner: Tensor,
    groups: Sequence[object] | Tensor | None = None,
    neighbours: int = 5,
) -> dict[str, float]:
    """Whether the cases of one label fall into the groups of a second one: views or sides inside each organ.

    Coda (MICCAI 2025, figure 2b) shows such islands in a t-SNE picture; these are numbers for them. Each label is
    judged by itself, among its own cases alone. Of the second label only values that two patients or more show count,
    and a label with fewer than two of them is left out.

    Args:
        embeddings: (N, D), float, one case a row.
        labels: (N,), integers, such as the organ.
        inner: (N,), integers, such as the view or the side; below 0 where it is not known, which leaves the case out.
        groups: patient of each case, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.
        neighbours: how many nearest cases vote.

    Returns:
        - ``silhouette``: -1 to 1 (perfect), see :func:`~monai_lamps.metrics.anatomy.separation`;
        - ``knn_accuracy``: second label named by the nearest cases of other patients, mean over its values;
        - ``knn_chance``: one by the number of its values;

        each the mean over the labels, NaN where none can be judged, and as ``FIGURE/LABEL`` of every label that is.

    Raises:
        ValueError: when shapes do not fit, a value is not finite, or ``neighbours`` is below 1.
    """
    return inner_clusters_statistic(embeddings, labels, inner, groups, neighbours)(np.ones(len(embeddings)))


def inner_clusters_statistic(
    embeddings: Tensor,
    labels: Tensor,
    inner: Tensor,
    groups: Sequence[object] | Tensor | None = None,
    neighbours: int = 5,
) -> Statistic:
    """The figures of :func:`inner_clusters` as a function of how often each case counts.

    Args:
        embeddings: as for :func:`inner_clusters`, and so are the others.
        labels: (N,).
        inner: (N,).
        groups: (N,).
        neighbours: how many nearest cases vote.

    Raises:
        ValueError: as :func:`inner_clusters`.
    """
    require_shape(embeddings, "embeddings", "(N, D)", (None, None))
    require_shape(labels, "labels", "(N,)", (len(embeddings),))
    require_shape(inner, "inner", "(N,)", (len(embeddings),))
    vectors, patients = unit_vectors(embeddings), groups_of(groups, len(embeddings))
    parts: dict[int, tuple[npt.NDArray[np.int64], Statistic]] = {}
    numbers, values = labels.detach().cpu(), inner.detach().cpu()
    for label in numbers.unique().tolist():
        rows = _judged(numbers == label, values, patients)
        if len(rows):
            parts[label] = rows.numpy(), _one_label(vectors[rows], values[rows], patients[rows], neighbours)

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        found = {label: _drawn(statistic, weights[rows]) for label, (rows, statistic) in parts.items()}
        columns = {
            name: torch.tensor([each[name] for each in found.values()], dtype=torch.float64) for name in _FIGURES
        }
        means = {name: mean_over_cases(values, np.ones(len(values))) for name, values in columns.items()}
        return {**means, **{f"{name}/{label}": found[label][name] for name in _FIGURES for label in found}}

    return figures


class InnerClusters(EmbeddingMetric):
    """Metric class of :func:`inner_clusters`.

    Args:
        neighbours: how many nearest cases vote.
    """

    def __init__(self, neighbours: int = 5) -> None:
        super().__init__()
        self.neighbours = neighbours

    def __call__(
        self, embeddings: Tensor, labels: Tensor, inner: Tensor, groups: Sequence[object] | Tensor | None = None
    ) -> None:
        """Keep a batch of cases.

        Args:
            embeddings: (B, D), float.
            labels: (B,), integers.
            inner: (B,), integers, below 0 where it is not known.
            groups: patient of each case.
        """
        self.gather(embeddings, labels, inner, groups=groups)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`inner_clusters_statistic`."""
        embeddings, labels, inner, groups = gathered
        return inner_clusters_statistic(embeddings, labels, inner, groups, self.neighbours)


def _judged(own: Tensor, inner: Tensor, patients: Tensor) -> Tensor:
    """Cases of a label whose value of the second label two patients show; none where that is a single value."""
    known = own & (inner >= 0)
    shown = [value for value in inner[known].unique() if len(patients[known & (inner == value)].unique()) > 1]
    if len(shown) < 2:
        return torch.empty(0, dtype=torch.int64)
    return (known & torch.isin(inner, torch.stack(shown))).nonzero().flatten()


def _one_label(embeddings: Tensor, inner: Tensor, patients: Tensor, neighbours: int) -> Statistic:
    apart = separation_statistic(embeddings, inner, patients)
    named = retrieval_statistic(embeddings, inner, patients, (1,), neighbours)
    return lambda weights: {name: {**apart(weights), **named(weights)}[name] for name in _FIGURES}


def _drawn(statistic: Statistic, weights: npt.NDArray[np.float64]) -> Mapping[str, float]:
    return statistic(weights) if weights.any() else dict.fromkeys(_FIGURES, float("nan"))
