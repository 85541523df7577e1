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

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Clusters"]

_NOTHING = 1e-12  # a distance, or a sum of weights, that is only rounding


class Clusters:
    """How well labels are separated, for any weights of the cases; weights of 1 give what scikit-learn gives.

    Args:
        vectors: (N, D), of length 1, float64.
        labels: (N,), integers.
    """

    def __init__(self, vectors: Tensor, labels: Tensor) -> None:
        self.vectors = vectors
        self.member = F.one_hot(labels.unique(return_inverse=True)[1]).double()  # (N, L)
        distances = 1 - vectors @ vectors.T
        self.distances = torch.where(distances < _NOTHING, 0.0, distances).fill_diagonal_(0)

    def silhouette(self, weights: Tensor) -> float:
        """Mean silhouette (Rousseeuw, 1987) with the cosine distance, -1 to 1; NaN with fewer than two labels.

        A case is compared with the mean distance to the others of its label and of the nearest other label; copies of
        itself do not count among the others, and alone in its label it counts 0.

        Args:
            weights: (N,), float64, how often each case counts.
        """
        weighted = self.member * weights[:, None]
        totals = weighted.sum(0)
        if int((totals > _NOTHING).sum()) < 2:
            return float("nan")
        own = self.member.bool()
        counts = totals - torch.where(own, weights[:, None], 0.0)  # (N, L)
        means = self.distances @ weighted / counts.clamp(min=_NOTHING)
        within = means[own]
        between = means.masked_fill(own | (counts <= _NOTHING), torch.inf).amin(1)
        larger = torch.maximum(within, between)
        alone = counts[own] <= _NOTHING
        scores = torch.where(alone | (larger == 0), 0.0, (between - within) / larger)
        return float((scores * weights).sum() / weights.sum())

    def davies_bouldin(self, weights: Tensor) -> float:
        """Davies and Bouldin's index (1979) of the vectors, 0 (points) upwards, the lower the better separated.

        NaN with fewer than two labels, and where the centroids of two labels coincide.

        Args:
            weights: (N,), float64, how often each case counts.
        """
        weighted = self.member * weights[:, None]
        totals = weighted.sum(0)
        there = totals > _NOTHING
        if int(there.sum()) < 2:
            return float("nan")
        weighted, totals = weighted[:, there], totals[there]
        centroids = weighted.T @ self.vectors / totals[:, None]
        scatter = (weighted * torch.cdist(self.vectors, centroids)).sum(0) / totals
        apart = torch.cdist(centroids, centroids).fill_diagonal_(torch.inf)
        if float(apart.min()) < 1e-9:
            return float("nan")
        return float(((scatter[:, None] + scatter) / apart).amax(1).mean())
