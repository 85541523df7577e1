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
from math import comb

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic
from monai_lamps.metrics.ranking import Ranking

from .cases import groups_of
from .embedding_metric import EmbeddingMetric
from .neighbours import neighbour_hits
from .vectors import unit_vectors

__all__ = ["Retrieval", "retrieval", "retrieval_statistic"]

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def retrieval(
    embeddings: Tensor,
    labels: Tensor,
    groups: Sequence[object] | Tensor | None = None,
    ks: Sequence[int] = (1, 5, 10),
    neighbours: int = 5,
    of: Sequence[int] | None = None,
) -> dict[str, float]:
    """Whether what lies nearest to an embedding is of the same label: each case is looked up among the other patients.

    Every figure is the mean over the labels of the mean over a label's cases, so that a frequent label does not decide.
    Cases of equal similarity share their ranks. A case whose label no other patient shows has nothing to be found; it
    is left out, and lies among what others are looked up in.

    Args:
        embeddings: (N, D), float, one case a row.
        labels: (N,), integers, such as the organ; at least two different ones.
        groups: patient of each case, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.
        ks: how many of the nearest are looked at.
        neighbours: how many nearest cases vote in the kNN classification.
        of: labels whose cases are looked up, such as organs that were never seen in pretraining; all by default. They
            are looked up among the cases of all labels.

    Returns:
        - ``precision_k`` for each k: share of the k nearest that are of the same label, 0 to 1. Where fewer than k
          others show it, 1 is out of reach;
        - ``hit_k`` for each k above 1: share of cases with at least one of the same label among the k nearest (of the
          single nearest it is ``precision_1``), and ``hit_k_chance``, what any order gives on average;
        - ``map``: mean average precision over the whole ranking;
        - ``chance``: share of the others that are of the same label, which is ``precision_k`` and ``map`` of a constant
          encoder;
        - ``knn_accuracy``: label named by the nearest cases, and ``knn_accuracy/LABEL`` of each label that is looked
          up;
        - ``knn_chance``: one by the number of labels, which guessing and always naming the same one both reach.

        A figure that is not defined, as with a single patient, is NaN.

    Raises:
        ValueError: when shapes do not fit, a value is not finite, there is a single label, ``of`` holds a label that is
            not there, or ``ks`` or ``neighbours`` are below 1.
    """
    return retrieval_statistic(embeddings, labels, groups, ks, neighbours, of)(np.ones(len(embeddings)))


def retrieval_statistic(
    embeddings: Tensor,
    labels: Tensor,
    groups: Sequence[object] | Tensor | None = None,
    ks: Sequence[int] = (1, 5, 10),
    neighbours: int = 5,
    of: Sequence[int] | None = None,
) -> Statistic:
    """The figures of :func:`retrieval` as a function of how often each case counts.

    A case is looked up among all other patients in every draw: among fewer it would be found more easily.

    Args:
        embeddings: as for :func:`retrieval`, and so are the others.
        labels: (N,).
        groups: (N,).
        ks: how many of the nearest are looked at.
        neighbours: how many nearest cases vote.
        of: labels whose cases are looked up.

    Raises:
        ValueError: as :func:`retrieval`.
    """
    require_shape(embeddings, "embeddings", "(N, D)", (None, None))
    require_shape(labels, "labels", "(N,)", (len(embeddings),))
    kinds, number = labels.detach().cpu().unique(return_inverse=True)
    asked = _checked(kinds.tolist(), ks, of)
    vectors, patients = unit_vectors(embeddings), groups_of(groups, len(embeddings))
    hits = neighbour_hits(vectors, number, patients, neighbours)
    names = [*(name for k in ks for name in _names(k)), "map", "chance", "knn_accuracy"]
    values = torch.full((len(number), len(names)), torch.nan, dtype=torch.float64)
    for case in torch.isin(number, torch.tensor(asked)).nonzero().flatten().tolist():
        others = patients != patients[case]
        similar = (vectors @ vectors[case]).round(decimals=9)[others].numpy()
        same = (number[others] == number[case]).numpy()
        if same.any():
            values[case] = torch.tensor([*_figures(similar, same, ks), float(hits[case])], dtype=torch.float64)
    known, member = (~values.isnan()).double(), F.one_hot(number, len(kinds)).double()
    values = values.nan_to_num(0)

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        weighted = member.T * torch.from_numpy(weights)  # (L, N)
        of_label = (weighted @ values) / (weighted @ known)  # (L, F), NaN where nothing is known
        means = dict(zip(names, of_label.nanmean(0).tolist()))
        votes = {f"knn_accuracy/{int(kinds[row])}": float(of_label[row, -1]) for row in asked}
        return {**means, "knn_chance": 1 / len(kinds), **votes}

    return figures


class Retrieval(EmbeddingMetric):
    """Metric class of :func:`retrieval`.

    Args:
        ks: how many of the nearest are looked at.
        neighbours: how many nearest cases vote in the kNN classification.
        of: labels whose cases are looked up; all by default.
    """

    def __init__(self, ks: Sequence[int] = (1, 5, 10), neighbours: int = 5, of: Sequence[int] | None = None) -> None:
        super().__init__()
        self.ks, self.neighbours, self.of = tuple(ks), neighbours, of

    def __call__(self, embeddings: Tensor, labels: Tensor, groups: Sequence[object] | Tensor | None = None) -> None:
        """Keep a batch of cases.

        Args:
            embeddings: (B, D), float.
            labels: (B,), integers.
            groups: patient of each case.
        """
        self.gather(embeddings, labels, groups=groups)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`retrieval_statistic`."""
        embeddings, labels, groups = gathered
        return retrieval_statistic(embeddings, labels, groups, self.ks, self.neighbours, self.of)


def _names(k: int) -> list[str]:
    return [f"precision_{k}", *([f"hit_{k}", f"hit_{k}_chance"] if k > 1 else [])]


def _figures(similar: Array, same: Flags, ks: Sequence[int]) -> list[float]:
    """What looking up one case among others gives: precision and hits for each k, average precision and chance."""
    found: list[float] = []
    for k in ks:
        precision, hit = _nearest(similar, same, k)
        found += [precision, hit, _nearest(np.zeros_like(similar), same, k)[1]] if k > 1 else [precision]
    return [*found, Ranking(similar, same).average_precision(np.ones(len(same))), float(same.mean())]


def _nearest(similar: Array, same: Flags, k: int) -> tuple[float, float]:
    """Share of the same label among the k most similar, and probability of at least one; expected over orders of ties.

    Args:
        similar: (G,), similarity to each of the others.
        same: (G,), whether it is of the same label.
        k: at most G are looked at.
    """
    k = min(k, len(similar))
    edge = np.partition(similar, -k)[-k]
    above, tied = similar > edge, similar == edge
    sure, count, right = int(same[above].sum()), int(tied.sum()), int(same[tied].sum())
    drawn = k - int(above.sum())  # of those at the edge
    missed = 0.0 if sure else comb(count - right, drawn) / comb(count, drawn)
    return (sure + drawn * right / count) / k, 1 - missed


def _checked(kinds: list[int], ks: Sequence[int], of: Sequence[int] | None) -> list[int]:
    """Rows of the labels that are looked up."""
    if len(kinds) < 2:
        raise ValueError(f"labels must name at least 2 kinds to tell apart, got {kinds}.")
    if not ks or min(ks) < 1 or len(set(ks)) != len(ks):
        raise ValueError(f"ks must be different numbers of nearest cases, at least 1, got {list(ks)}; e.g. [1, 5, 10].")
    missing = [label for label in of or () if label not in kinds]
    if missing or (of is not None and not len(of)):
        raise ValueError(f"of must hold some of the labels {kinds}, got {list(of or ())}; leave it out for all.")
    return [row for row, label in enumerate(kinds) if of is None or label in of]
