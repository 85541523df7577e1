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
"""Wholes and parts compared by the direction of their embeddings: the part-whole losses of Adam-v2."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["ReleasedUnitDecompositionLoss", "UnitCompositionLoss", "UnitDecompositionLoss"]


class UnitCompositionLoss(_Loss):
    """Mean squared error of the unit vectors of the composed embedding and the teacher's embedding of the whole.

    Adam-v2 (CVPR 2024, composability), weight 1. The mean is over all components, so the loss is
    ``(2 - 2 cos) / D``: small for a wide embedding.
    """

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
        return F.mse_loss(_unit(composed), _unit(whole))


class UnitDecompositionLoss(_Loss):
    """Mean squared error of the unit vectors of the decomposed parts and the teacher's parts.

    Adam-v2 (CVPR 2024, decomposability), weight 1. Each part is normalised alone, so that the loss can reach 0; the
    released code does otherwise, see :class:`ReleasedUnitDecompositionLoss`.
    """

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
        _require_parts(decomposed, parts)
        return F.mse_loss(_unit(decomposed), _unit(parts))


class ReleasedUnitDecompositionLoss(_Loss):
    """:class:`UnitDecompositionLoss` as the released code of Adam-v2 computes it, for parity.

    All decomposed parts are normalised as one vector and then taken apart, so that each has a norm of about
    ``P ** -0.5`` (one half for four parts) while its target has norm 1. The loss cannot reach 0.
    """

    def forward(self, decomposed: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32; arguments, result and errors as of :class:`UnitDecompositionLoss`."""
        _require_parts(decomposed, parts)
        return F.mse_loss(_unit(decomposed.flatten(1)).view(decomposed.shape), _unit(parts))


def _require_parts(decomposed: torch.Tensor, parts: torch.Tensor) -> None:
    require_shape(decomposed, "decomposed", "(B, P, D)", (None, None, None))
    require_shape(parts, "parts", "(B, P, D)", tuple(decomposed.shape))


def _unit(embedding: torch.Tensor) -> torch.Tensor:
    return F.normalize(embedding.float(), dim=-1)
