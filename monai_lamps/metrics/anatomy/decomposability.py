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

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import mean_over_cases
from .embedding_metric import EmbeddingMetric
from .vectors import unit_vectors

__all__ = ["Decomposability", "decomposability", "decomposability_statistic", "sibling_hits"]


def decomposability(predicted: Tensor, parts: Tensor) -> dict[str, float]:
    """Whether the parts that a decomposer predicts from a whole are found among the siblings they were made with.

    For methods that have a decomposer (Lamps, Adam-v2). A decomposer that predicts the same for every part, the mean
    of the siblings, has a high cosine and still finds the right part by chance only; so both are given.

    Args:
        predicted: (N, P, D), float: the decomposer's P embeddings of each whole, P at least 2.
        parts: (N, P, D), float: the encoder's embeddings of the parts, in the same order.

    Returns:
        - ``retrieval``: share of predictions whose most similar sibling is the right one, ties shared out, 0 to 1;
        - ``chance``: 1 / P;
        - ``cosine``, ``sibling_cosine``: mean cosine with the right part and with the wrong ones of the same whole;
        - ``gap``: the former minus the latter.

    Raises:
        ValueError: when shapes do not fit, there are fewer than 2 parts, or a value is not finite.
    """
    return decomposability_statistic(predicted, parts)(np.ones(len(predicted)))


def decomposability_statistic(predicted: Tensor, parts: Tensor) -> Statistic:
    """The figures of :func:`decomposability` as a function of how often each whole counts.

    Args:
        predicted: (N, P, D), float.
        parts: (N, P, D), float.

    Raises:
        ValueError: as :func:`decomposability`.
    """
    cosines = _cosines(predicted, parts)
    number = cosines.shape[-1]
    right = cosines.diagonal(dim1=1, dim2=2).sum(1)
    hits, own = _hits(cosines).mean(1), right / number
    siblings = (cosines.sum((1, 2)) - right) / (number * (number - 1))

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        near, far = mean_over_cases(own, weights), mean_over_cases(siblings, weights)
        return {
            "retrieval": mean_over_cases(hits, weights),
            "chance": 1 / number,
            "cosine": near,
            "sibling_cosine": far,
            "gap": near - far,
        }

    return figures


def sibling_hits(predicted: Tensor, parts: Tensor) -> Tensor:
    """Which predictions find their part among its siblings.

    Args:
        predicted: (N, P, D), float.
        parts: (N, P, D), float.

    Returns:
        (N, P), float64 on the CPU: 1 right, 0 wrong, 1 / n where the right one shares the first place with n in all.

    Raises:
        ValueError: as :func:`decomposability`.
    """
    return _hits(_cosines(predicted, parts))


def _cosines(predicted: Tensor, parts: Tensor) -> Tensor:
    """Cosine of each prediction with each sibling, (N, P, P)."""
    require_shape(parts, "parts", "(N, P, D)", (None, None, None))
    require_shape(predicted, "predicted", "(N, P, D)", tuple(parts.shape))
    if parts.shape[1] < 2:
        raise ValueError(f"a part is found among at least 2 siblings, got parts of shape {tuple(parts.shape)}.")
    cosines = unit_vectors(predicted, "predicted") @ unit_vectors(parts, "parts").transpose(1, 2)
    return cosines.round(decimals=9)


def _hits(cosines: Tensor) -> Tensor:
    first = cosines == cosines.amax(2, keepdim=True)
    right: Tensor = first.diagonal(dim1=1, dim2=2) / first.sum(2)
    return right.double()


class Decomposability(EmbeddingMetric):
    """Metric class of :func:`decomposability`."""

    def __call__(self, predicted: Tensor, parts: Tensor, groups: Sequence[object] | Tensor | None = None) -> Tensor:
        """Keep what is known of a batch of wholes.

        Args:
            predicted: (B, P, D), float.
            parts: (B, P, D), float.
            groups: patient of each whole, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.

        Returns:
            which predictions of this batch are right, (B, P), see :func:`sibling_hits`.
        """
        hits = sibling_hits(predicted, parts)
        self.gather(predicted, parts, groups=groups)
        return hits

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`decomposability_statistic`."""
        predicted, parts, _ = gathered
        return decomposability_statistic(predicted, parts)
