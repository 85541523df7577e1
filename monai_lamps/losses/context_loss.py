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
"""Loss of predicting the embeddings of hidden cells from the visible ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["ContextLoss"]


class ContextLoss(_Loss):
    """Smooth-L1 between predicted and target embeddings of the hidden cells.

    Lamps (arXiv 2512.22872), extrapolation (coherence): the student's decoder against the teacher's tokens. As
    released, both are zero where the cell is visible and the mean goes over all cells, so the loss is the mean over
    the hidden cells times their share (75/196 with the published window).

    Args:
        beta: where the loss turns from quadratic to linear; > 0. The paper: 1.
        reduction: ``"all"`` divides by the number of all cells, as published; ``"hidden"`` by that of the hidden ones,
            so that the loss does not depend on how much is hidden.

    Raises:
        ValueError: when ``beta`` is not positive or ``reduction`` is unknown.
    """

    def __init__(self, beta: float = 1.0, reduction: str = "all") -> None:
        super().__init__()
        if beta <= 0:
            raise ValueError(f"beta must be positive, got {beta}.")
        if reduction not in ("all", "hidden"):
            raise ValueError(f"reduction must be 'all' or 'hidden', got '{reduction}'.")
        self.beta = beta
        self.reduction = reduction

    def forward(self, pred: torch.Tensor, target: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32.

        Args:
            pred: predicted embeddings (B, N, D), float.
            target: target embeddings (B, N, D), float.
            hidden: (B, N), bool, true where a cell was hidden. Where nothing is hidden the loss is 0.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit.
            TypeError: when ``hidden`` is not bool.
        """
        require_shape(pred, "pred", "(B, N, D)", (None, None, None))
        require_shape(target, "target", "(B, N, D)", tuple(pred.shape))
        require_shape(hidden, "hidden", "(B, N)", tuple(pred.shape[:2]))
        if hidden.dtype != torch.bool:  # a float64 mask would make the loss float64
            raise TypeError(f"hidden must be a bool tensor, got {hidden.dtype}; compare it, for example hidden > 0.")
        cells = F.smooth_l1_loss(pred.float(), target.float(), beta=self.beta, reduction="none").mean(dim=-1)
        total = torch.where(hidden, cells, 0.0).sum()
        return total / (hidden.numel() if self.reduction == "all" else hidden.sum().clamp(min=1))
