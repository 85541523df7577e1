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
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import mean_over_cases
from .embedding_metric import EmbeddingMetric
from .vectors import cosine, unit_vectors

__all__ = ["ScaleConsistency", "scale_consistency", "scale_consistency_statistic"]


def scale_consistency(embeddings: Tensor) -> dict[str, float]:
    """Whether patches of different scales around the same centre are alike, more than those around different centres.

    Args:
        embeddings: (N, S, D), float: N centres, at least 2, each seen at S scales, at least 2 (such as 1, 1/2, 1/4).

    Returns:
        - ``cosine``: mean cosine of two scales of the same centre, -1 to 1 (perfect);
        - ``cosine/s-t``: the same for scales number s and t alone;
        - ``control_cosine``: of two scales of different centres;
        - ``gap``: cosine minus control_cosine; 0 for a constant encoder;
        - ``retrieval``: share of patches whose most similar patch of another scale is that of the same centre, ties
          shared out, mean over the pairs of scales in both directions, 0 to 1;
        - ``chance``: 1 / N.

    Raises:
        ValueError: when shapes do not fit, there are fewer than 2 centres or scales, or a value is not finite.
    """
    return scale_consistency_statistic(embeddings)(np.ones(len(embeddings)))


def scale_consistency_statistic(embeddings: Tensor) -> Statistic:
    """The figures of :func:`scale_consistency` as a function of how often each centre counts.

    A centre is sought among all centres in every draw: among fewer it would be found more easily.

    Args:
        embeddings: (N, S, D), float.

    Raises:
        ValueError: as :func:`scale_consistency`.
    """
    require_shape(embeddings, "embeddings", "(N, S, D)", (None, None, None))
    count, scales = embeddings.shape[:2]
    if count < 2 or scales < 2:
        raise ValueError(
            f"scale consistency needs at least 2 centres and 2 scales, got {count} and {scales}: embeddings (N, S, D)."
        )
    vectors = unit_vectors(embeddings)
    pairs = list(combinations(range(scales), 2))
    own = {(s, t): cosine(vectors[:, s], vectors[:, t]) for s, t in pairs}
    hits = torch.stack([_hits(vectors[:, s], vectors[:, t]) for s, t in pairs]).mean(0)

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        near = {pair: mean_over_cases(values, weights) for pair, values in own.items()}
        w = torch.from_numpy(weights)
        mean = sum(near.values()) / len(near)
        control = sum(_control(vectors[:, s], vectors[:, t], own[s, t], w) for s, t in pairs) / len(pairs)
        return {
            "cosine": mean,
            **{f"cosine/{s}-{t}": value for (s, t), value in near.items()},
            "control_cosine": control,
            "gap": mean - control,
            "retrieval": mean_over_cases(hits, weights),
            "chance": 1 / count,
        }

    return figures


class ScaleConsistency(EmbeddingMetric):
    """Metric class of :func:`scale_consistency`."""

    def __call__(self, embeddings: Tensor, groups: Sequence[object] | Tensor | None = None) -> None:
        """Keep a batch of centres.

        Args:
            embeddings: (B, S, D), float.
            groups: patient of each centre, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.
        """
        self.gather(embeddings, groups=groups)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`scale_consistency_statistic`."""
        return scale_consistency_statistic(gathered[0])


def _hits(first: Tensor, second: Tensor) -> Tensor:
    """Share of right answers of each centre, from the first scale to the second and back, (N,)."""
    similar = (first @ second.T).round(decimals=9)
    found = []
    for axis in (1, 0):
        best = similar == similar.amax(axis, keepdim=True)
        found.append(best.diagonal() / best.sum(axis))
    return (found[0] + found[1]).double() / 2


def _control(first: Tensor, second: Tensor, own: Tensor, weights: Tensor) -> float:
    """Mean cosine over pairs of different centres, each pair counted by both weights."""
    squares = weights**2
    total = float(weights.sum() ** 2 - squares.sum())
    if total <= 0:  # a single centre was drawn
        return float("nan")
    return float((weights @ first) @ (weights @ second) - squares @ own) / total
