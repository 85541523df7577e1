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

__all__ = ["neighbour_hits"]

_CHUNK = 512  # cases whose similarities to all others are held at once


def neighbour_hits(vectors: Tensor, labels: Tensor, groups: Tensor, neighbours: int) -> Tensor:
    """Whether the nearest cases of other patients name the label of each case (kNN, leave one patient out).

    Each of the k most similar cases (cosine) has one vote; a tie goes to the label whose members are nearer.

    Args:
        vectors: (N, D), of length 1, float64.
        labels: (N,), integers.
        groups: (N,), patient of each case.
        neighbours: k, at least 1; fewer vote where the other patients have fewer cases.

    Returns:
        (N,), float64: 1 right, 0 wrong, NaN where there is no other patient.

    Raises:
        ValueError: when ``neighbours`` is below 1.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}; 5 is usual.")
    k = min(neighbours, len(vectors))
    number = labels.unique(return_inverse=True)[1]
    votes = 1 + torch.arange(k, 0, -1, dtype=torch.float64) / (10 * k * k)  # all nearness together is below one vote
    hits = []
    for chunk in torch.arange(len(vectors)).split(_CHUNK):
        similar = (vectors[chunk] @ vectors.T).round(decimals=9)
        similar = similar.masked_fill(groups[chunk, None] == groups, -torch.inf)
        nearest, index = (found[:, :k] for found in similar.sort(dim=1, descending=True, stable=True))
        ballot = F.one_hot(number[index], int(number.max()) + 1) * (votes * nearest.isfinite())[..., None]
        right = (ballot.sum(1).argmax(1) == number[chunk]).double()
        hits.append(torch.where(nearest[:, 0].isfinite(), right, torch.nan))
    return torch.cat(hits)
