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
"""Loss and accuracy of putting shuffled patches back in order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["PatchOrderLoss", "order_accuracy", "order_near_accuracy"]


class PatchOrderLoss(_Loss):
    """Cross-entropy of naming, for each position of a shuffled view, the cell that it shows.

    POPAR, and the order term of Lamps (arXiv 2512.22872), which weighs it by 0.1.
    """

    def forward(self, logits: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32.

        Args:
            logits: (B, N, N), float; ``logits[b, j]`` scores the cells that position j may show.
            permutation: (B, N), int64 in [0, N); position j shows cell ``permutation[b, j]``.

        Returns:
            scalar float32, >= 0; log(N) when nothing is known.

        Raises:
            ValueError: when shapes do not fit.
        """
        _check(logits, permutation)
        return F.cross_entropy(logits.float().flatten(0, 1), permutation.flatten())


def order_accuracy(logits: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
    """Share of the positions whose cell gets the highest score; chance is 1 / N.

    Args:
        logits: (B, N, N), float.
        permutation: (B, N), int64 in [0, N).

    Returns:
        scalar float32 in [0, 1], without gradient.

    Raises:
        ValueError: when shapes do not fit.
    """
    _check(logits, permutation)
    return (logits.detach().argmax(dim=-1) == permutation).float().mean()


def order_near_accuracy(logits: torch.Tensor, permutation: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Share of the positions whose named cell lies within one cell of the right one, diagonals included.

    Args:
        logits: (B, N, N), float.
        permutation: (B, N), int64 in [0, N).
        grid: cells along each axis; their product is N.

    Returns:
        scalar float32 in [0, 1], without gradient; not below :func:`order_accuracy`.

    Raises:
        ValueError: when shapes do not fit, or the grid has another number of cells than N.
    """
    _check(logits, permutation)
    if math.prod(grid) != permutation.shape[1]:
        raise ValueError(f"expected a grid of {permutation.shape[1]} cells, got {tuple(grid)}.")
    named = torch.stack(torch.unravel_index(logits.detach().argmax(dim=-1), tuple(grid)))
    right = torch.stack(torch.unravel_index(permutation, tuple(grid)))
    return ((named - right).abs().amax(dim=0) <= 1).float().mean()


def _check(logits: torch.Tensor, permutation: torch.Tensor) -> None:
    require_shape(permutation, "permutation", "(B, N)", (None, None))
    batch, cells = permutation.shape
    require_shape(logits, "logits", "(B, N, N)", (batch, cells, cells))
