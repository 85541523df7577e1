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
"""Losses of composing a whole from its parts and of decomposing it into them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["CompositionLoss", "DecompositionLoss"]


class CompositionLoss(_Loss):
    """Smooth-L1 between the embedding composed of the student's parts and the teacher's embedding of the whole.

    Lamps (arXiv 2512.22872), hierarchy objective, weight 1.

    Args:
        beta: where the loss turns from quadratic to linear; > 0. The paper: 1.

    Raises:
        ValueError: when ``beta`` is not positive.
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = _positive(beta)

    def forward(self, composed: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32.

        Args:
            composed: the composer's output (B, D), float.
            whole: target embedding of the whole (B, D), float.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit.
        """
        require_shape(composed, "composed", "(B, D)", (None, None))
        require_shape(whole, "whole", "(B, D)", tuple(composed.shape))
        return F.smooth_l1_loss(composed.float(), whole.float(), beta=self.beta)


class DecompositionLoss(_Loss):
    """Smooth-L1 between the parts decomposed from the student's whole and the teacher's parts, mean over the parts.

    Lamps (arXiv 2512.22872), hierarchy objective, weight 1.

    Args:
        beta: where the loss turns from quadratic to linear; > 0. The paper: 1.

    Raises:
        ValueError: when ``beta`` is not positive.
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = _positive(beta)

    def forward(self, decomposed: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32.

        Args:
            decomposed: the decomposer's output (B, P, D), float.
            parts: target embeddings of the parts (B, P, D), float, in the same order.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit.
        """
        require_shape(decomposed, "decomposed", "(B, P, D)", (None, None, None))
        require_shape(parts, "parts", "(B, P, D)", tuple(decomposed.shape))
        return F.smooth_l1_loss(decomposed.float(), parts.float(), beta=self.beta)


def _positive(beta: float) -> float:
    if beta <= 0:
        raise ValueError(f"beta must be positive, got {beta}.")
    return beta
