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
"""What a network keeps for the backward pass, and what it computes again there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

__all__ = ["RECOMPUTE", "Call", "keep", "recompute", "recompute_policy"]

Call = Callable[..., torch.Tensor]
"""How a network calls one of its functions: :func:`keep` or :func:`recompute`."""


def keep(function: Callable[..., torch.Tensor], *args: Any) -> torch.Tensor:
    """Call a function; autograd keeps whatever its operations want for the backward pass."""
    return function(*args)


def recompute(function: Callable[..., torch.Tensor], *args: Any) -> torch.Tensor:
    """Call a function and keep its arguments only; the backward pass computes again what its gradients need.

    The recomputation stops at the last value that a gradient needs: of ``linear(norm(x))`` only ``norm(x)`` is
    computed again, so around a linear layer and the cheap operations before it this saves their memory for next to
    nothing. The function must be deterministic (no dropout).

    Args:
        function: from tensors (and anything else) to a tensor.
        args: its arguments.
    """
    if not torch.is_grad_enabled():
        return function(*args)
    result: torch.Tensor = checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)
    return result


#: how whole parts of a block, and how each linear layer with the cheap operations before it, are called
RECOMPUTE: dict[str, tuple[Call, Call]] = {
    "nothing": (keep, keep),
    "between": (keep, recompute),
    "all": (recompute, keep),
}


def recompute_policy(name: str) -> tuple[Call, Call]:
    """The two calls that a name of :data:`RECOMPUTE` stands for; raises ValueError for another name."""
    if name not in RECOMPUTE:
        raise ValueError(f"recompute must be one of {list(RECOMPUTE)}, got {name!r}.")
    return RECOMPUTE[name]
