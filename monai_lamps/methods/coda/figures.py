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
"""What is worth watching of Coda besides its losses."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["organ_accuracy", "organ_chance", "prototype_figures"]


@torch.no_grad()
def organ_accuracy(
    queries: Tensor, organs: Tensor, images: Tensor, keys: Tensor, key_organs: Tensor, key_images: Tensor
) -> Tensor:
    """Share of the queries whose nearest key of another image is of the same organ.

    Only queries and keys of a known organ count. An image that is twice in the batch is no other image.

    Args:
        queries: embeddings (B, D), float, of any length.
        organs: (B,) int64, below 0 where unknown.
        images: (B,) int64, which image each query is of.
        keys, key_organs, key_images: (M, D), (M,), (M,): the same of the keys.

    Returns:
        scalar float32 in [0, 1]; 0 where no query has a key to be compared with.
    """
    cosine = F.normalize(queries.float(), dim=1) @ F.normalize(keys.float(), dim=1).T
    others = _others(organs, images, key_organs, key_images)
    nearest = cosine.masked_fill(~others, -torch.inf).argmax(dim=1)
    return _mean((key_organs[nearest] == organs).float(), others.any(dim=1))


@torch.no_grad()
def organ_chance(organs: Tensor, images: Tensor, key_organs: Tensor, key_images: Tensor) -> Tensor:
    """What :func:`organ_accuracy` is by chance: mean share of the keys of other images that are of the same organ.

    Args:
        organs, images, key_organs, key_images: see :func:`organ_accuracy`.

    Returns:
        scalar float32 in [0, 1]; 0 where no query has a key to be compared with.
    """
    others = _others(organs, images, key_organs, key_images)
    same = others & (organs[:, None] == key_organs)
    count = others.sum(dim=1)
    return _mean(same.sum(dim=1) / count.clamp(min=1), count > 0)


@torch.no_grad()
def prototype_figures(logits: Tensor, center: Tensor, temperature: float) -> dict[str, Tensor]:
    """Whether the teacher's distribution over the prototypes has collapsed, in one way or the other.

    Args:
        logits: the teacher's, (..., K), float.
        center: (1, K), float.
        temperature: of the teacher.

    Returns:
        ``teacher_entropy``: mean entropy of a sample's distribution over its greatest value log K: 1 where every
        prototype is as likely as any other, 0 where it is always a single one. ``prototypes_used``: exponential of the
        entropy of the batch's mean distribution, about how many prototypes the batch takes: 1 where all samples take
        the same one.
    """
    share = ((logits.flatten(0, -2).float() - center) / temperature).softmax(dim=-1)
    greatest = max(math.log(share.shape[-1]), 1e-9)
    return {
        "teacher_entropy": _entropy(share).mean() / greatest,
        "prototypes_used": _entropy(share.mean(dim=0)).exp(),
    }


def _others(organs: Tensor, images: Tensor, key_organs: Tensor, key_images: Tensor) -> Tensor:
    """Which keys a query may be compared with, (B, M) bool: both of a known organ, and of two images."""
    return (images[:, None] != key_images) & (organs[:, None] >= 0) & (key_organs >= 0)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the values that count; 0 where none does."""
    return (values * counted).sum() / counted.sum().clamp(min=1)


def _entropy(share: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(share).sum(dim=-1)
    return entropy
