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

"""Gradient clipping without a host synchronisation, returning the norms."""

from __future__ import annotations

from collections.abc import Iterable

import torch

__all__ = ["GlobalNormClip", "PerParameterClip", "gradient_norms"]

_EPSILON = 1e-6


def gradient_norms(params: Iterable[torch.Tensor]) -> torch.Tensor:
    """
    L2 norm of the gradient of each parameter.

    Args:
        params: parameters; those without a gradient are passed over.

    Returns:
        ``(P,) float`` norms of the P parameters with a gradient, on their device; ``(0,)`` on the CPU if there are
        none.
    """
    return _norms([p.grad for p in params if p.grad is not None])


class PerParameterClip:
    """
    Scale each parameter's gradient to an L2 norm of at most `max_norm`, each by itself.

    As in the released code of Lamps (DINO style, max_norm 0.8), unlike `torch.nn.utils.clip_grad_norm_`, which scales
    all gradients by one factor.

    Args:
        max_norm: largest norm of one parameter's gradient, > 0.

    Raises:
        ValueError: When `max_norm` is not positive.
    """

    def __init__(self, max_norm: float = 0.8) -> None:
        self.max_norm = _positive(max_norm)

    def __repr__(self) -> str:
        return f"PerParameterClip(max_norm={self.max_norm})"

    def __call__(self, params: Iterable[torch.Tensor]) -> torch.Tensor:
        """
        Clip in place.

        Args:
            params: parameters; those without a gradient are passed over.

        Returns:
            ``(P,) float`` norms before clipping of the P parameters with a gradient, on their device.
        """
        grads = [p.grad for p in params if p.grad is not None]
        norms = _norms(grads)
        if grads:
            factors = (self.max_norm / (norms + _EPSILON)).clamp(max=1.0)
            torch._foreach_mul_(grads, list(factors.unbind()))
        return norms


class GlobalNormClip:
    """
    Scale all gradients by one factor so that their joint L2 norm is at most `max_norm`.

    The same values as `torch.nn.utils.clip_grad_norm_`, but it returns the norm of every parameter.

    Args:
        max_norm: largest joint norm, > 0.

    Raises:
        ValueError: When `max_norm` is not positive.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = _positive(max_norm)

    def __repr__(self) -> str:
        return f"GlobalNormClip(max_norm={self.max_norm})"

    def __call__(self, params: Iterable[torch.Tensor]) -> torch.Tensor:
        """
        Clip in place.

        Args:
            params: parameters; those without a gradient are passed over.

        Returns:
            ``(P,) float`` norms before clipping of the P parameters with a gradient, on their device.
        """
        grads = [p.grad for p in params if p.grad is not None]
        norms = _norms(grads)
        if grads:
            factor = (self.max_norm / (torch.linalg.vector_norm(norms) + _EPSILON)).clamp(max=1.0)
            torch._foreach_mul_(grads, factor)
        return norms


def _norms(grads: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(torch._foreach_norm(grads)) if grads else torch.zeros(0)


def _positive(max_norm: float) -> float:
    if not max_norm > 0:
        raise ValueError(f"max_norm got {max_norm}, expected > 0: pass clip=None to the trainer for no clipping.")
    return float(max_norm)
