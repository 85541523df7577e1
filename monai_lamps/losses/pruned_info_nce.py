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
"""Contrastive loss whose memory is rid of what resembles the anchor, and figures of how the contrast goes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["PrunedInfoNCELoss", "contrast_figures", "pruned_share"]


class PrunedInfoNCELoss(_Loss):
    """InfoNCE over the negatives that do not resemble the anchor: the Purposive Pruner of Adam (arXiv 2309.15358).

    ``L = -log(exp(q.k / t) / (exp(q.k / t) + sum_i exp(q.k_i / t)))``, the sum over the negatives k_i whose cosine with
    the anchor q is below the threshold: the same rib of another patient, or its neighbour, is no negative. (The
    paper's equation sums up to K; its text and the released code mean the K' that are left.) An anchor whose negatives
    are all pruned has a loss and a gradient of exactly 0. Without a threshold it is the loss of MoCo (arXiv
    1911.05722), which the released code uses in the coarsest stage.

    Args:
        temperature: t, > 0; published 0.2.
        threshold: gamma, the cosine from which on a negative is pruned, in (-1, 1]; published 0.8. None prunes nothing.

    Raises:
        ValueError: when an argument is out of range.
    """

    def __init__(self, temperature: float = 0.2, threshold: float | None = 0.8) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        self.temperature = temperature
        self.threshold = _checked(threshold)

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, negatives: torch.Tensor, own: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the loss, in float32 also under autocast: the mean over the batch.

        Args:
            query: the student's embeddings of one view (B, D), float, of any length: they are normalised here.
            key: the teacher's embeddings of the other view (B, D), float. No gradient flows into them.
            negatives: embeddings of other images (K, D), float, K >= 1. No gradient flows into them.
            own: pairs (B, K), bool, that are left out because the negative is the anchor's own key; none by default.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit, or there is no negative.
        """
        positive, negative = _positive_cosine(query, key), _negative_cosines(query, negatives)
        if self.threshold is not None:
            negative.masked_fill_(negative >= self.threshold, -torch.inf)  # in place: (B, K) is large
        if own is not None:
            require_shape(own, "own", "(B, K)", tuple(negative.shape))
            negative.masked_fill_(own, -torch.inf)
        logits = torch.cat([positive[:, None], negative], dim=1).div_(self.temperature)
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


@torch.no_grad()
def pruned_share(query: torch.Tensor, negatives: torch.Tensor, threshold: float | None = 0.8) -> torch.Tensor:
    """Share of the pairs of an anchor and a negative that :class:`PrunedInfoNCELoss` leaves out.

    Args:
        query: embeddings of the anchors (B, D), float.
        negatives: embeddings of other images (K, D), float, K >= 1.
        threshold: the cosine from which on a negative is pruned, in (-1, 1]; None prunes nothing.

    Returns:
        scalar float32 in [0, 1].

    Raises:
        ValueError: when shapes do not fit, there is no negative, or the threshold is out of range.
    """
    return _pruned(_negative_cosines(query, negatives), _checked(threshold)).mean(dtype=torch.float32)


@torch.no_grad()
def contrast_figures(
    query: torch.Tensor, key: torch.Tensor, negatives: torch.Tensor, threshold: float | None = 0.8
) -> dict[str, torch.Tensor]:
    """How well anchors are told apart from their negatives; all from one pass over the memory.

    Args:
        query: embeddings of one view (B, D), float.
        key: embeddings of the other view (B, D), float.
        negatives: embeddings of other images (K, D), float, K >= 1.
        threshold: the cosine from which on a negative is pruned, in (-1, 1]; None prunes nothing.

    Returns:
        scalars float32 by name: ``positive_cosine`` and ``negative_cosine``, means over all pairs, pruned or not;
        ``pruned_share``; ``contrast_accuracy``, the share of the anchors that are nearer to their key than to every
        negative that is left. Where none is left nothing was told apart, and ties count as wrong, so an encoder that
        gives the same for every image has 0.

    Raises:
        ValueError: when shapes do not fit, there is no negative, or the threshold is out of range.
    """
    positive, negative = _positive_cosine(query, key), _negative_cosines(query, negatives)
    pruned = _pruned(negative, _checked(threshold))
    hardest = negative.masked_fill(pruned, -torch.inf).amax(dim=1)
    right = (positive > hardest) & ~pruned.all(dim=1)
    return {
        "positive_cosine": positive.mean(),
        "negative_cosine": negative.mean(),
        "pruned_share": pruned.mean(dtype=torch.float32),
        "contrast_accuracy": right.mean(dtype=torch.float32),
    }


def _checked(threshold: float | None) -> float | None:
    if threshold is not None and not -1 < threshold <= 1:
        raise ValueError(f"threshold must be a cosine in (-1, 1], or None to prune nothing, got {threshold}.")
    return threshold


def _pruned(cosines: torch.Tensor, threshold: float | None) -> torch.Tensor:
    return torch.zeros_like(cosines, dtype=torch.bool) if threshold is None else cosines >= threshold


def _positive_cosine(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Cosine of each anchor with its key, (B,) float32."""
    require_shape(query, "query", "(B, D)", (None, None))
    require_shape(key, "key", "(B, D)", tuple(query.shape))
    return (F.normalize(query.float(), dim=1) * F.normalize(key.detach().float(), dim=1)).sum(dim=1)


def _negative_cosines(query: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Cosine of each anchor with every negative, (B, K) float32."""
    require_shape(query, "query", "(B, D)", (None, None))
    require_shape(negatives, "negatives", "(K, D)", (None, query.shape[1]))
    if len(negatives) == 0:
        raise ValueError("expected at least one negative, got none: give the memory a size of 1 or more.")
    with torch.autocast(query.device.type, enabled=False):
        return F.normalize(query.float(), dim=1) @ F.normalize(negatives.detach().float(), dim=1).T
