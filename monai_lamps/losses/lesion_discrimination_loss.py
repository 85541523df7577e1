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
"""Contrast of what is seen in a lesion with the whole image, its healthy counterpart being the hard negative."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["LesionDiscriminationLoss", "discrimination_figures"]


class LesionDiscriminationLoss(_Loss):
    """InfoNCE of an image's embedding with its key, against the keys of other images and of its healthy counterpart.

    ``L_i = -log(exp(q_i.k_i / t) / (sum_j exp(q_i.k_j / t) + [i has a lesion] exp(q_i.h_i / t)))`` with cosines. The
    healthy counterpart is the same image without its lesion, so it can be told apart by nothing but the lesion.

    Task II of RadLAS (ACM MM 2025); its paper is not public, so the form is our choice, after MoCo (arXiv 1911.05722).

    Args:
        temperature: t, > 0.

    Raises:
        ValueError: when the temperature is not positive.
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        self.temperature = temperature

    def forward(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        own: torch.Tensor,
        healthy: torch.Tensor,
        has_lesion: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the loss, in float32 also under autocast: the mean over the batch.

        Args:
            query: embeddings (B, D), float, of any length: they are normalised here.
            keys: embeddings of all images (M, D), float, those of the batch among them. No gradient flows into them.
            own: (B,), int64 in [0, M): which key belongs to the query.
            healthy: embeddings of the healthy counterparts (B, D), float. No gradient flows into them.
            has_lesion: (B,), bool: where it is false the counterpart is the image itself, and no negative.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit.
        """
        cosines = _cosines(query, keys, healthy, has_lesion)
        require_shape(own, "own", "(B,)", (len(query),))
        return F.cross_entropy(cosines / self.temperature, own)


@torch.no_grad()
def discrimination_figures(
    query: torch.Tensor, keys: torch.Tensor, own: torch.Tensor, healthy: torch.Tensor, has_lesion: torch.Tensor
) -> dict[str, torch.Tensor]:
    """How well images are told apart, and lesioned ones from their healthy counterparts.

    Args:
        query, keys, own, healthy, has_lesion: see :meth:`LesionDiscriminationLoss.forward`.

    Returns:
        scalars float32 by name: ``discrimination_accuracy``, the share of the queries that are nearer to their own key
        than to every other one and to the healthy counterpart (by chance 1 / (M + 1)); ``lesion_preference``, the share
        of those with a lesion that are nearer to their own key than to the healthy counterpart (by chance 0.5; 0 where
        no image has a lesion). Ties count as wrong.

    Raises:
        ValueError: when shapes do not fit.
    """
    cosines = _cosines(query, keys, healthy, has_lesion)
    mine = cosines.gather(1, own[:, None])
    others = cosines.scatter(1, own[:, None], -torch.inf).amax(dim=1)
    preferred = (mine[:, 0] > cosines[:, -1]) & has_lesion
    return {
        "discrimination_accuracy": (mine[:, 0] > others).float().mean(),
        "lesion_preference": preferred.float().sum() / has_lesion.sum().clamp(min=1),
    }


def _cosines(query: torch.Tensor, keys: torch.Tensor, healthy: torch.Tensor, has_lesion: torch.Tensor) -> torch.Tensor:
    """Cosines with all keys and, last, with the healthy counterpart (-inf without lesion), (B, M + 1) float32."""
    require_shape(query, "query", "(B, D)", (None, None))
    require_shape(keys, "keys", "(M, D)", (None, query.shape[1]))
    require_shape(healthy, "healthy", "(B, D)", tuple(query.shape))
    require_shape(has_lesion, "has_lesion", "(B,)", (len(query),))
    with torch.autocast(query.device.type, enabled=False):
        query = F.normalize(query.float(), dim=1)
        cosines = query @ F.normalize(keys.detach().float(), dim=1).T
        hard = (query * F.normalize(healthy.detach().float(), dim=1)).sum(dim=1)
        return torch.cat([cosines, torch.where(has_lesion, hard, -torch.inf)[:, None]], dim=1)
