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
"""The tensors of all processes, one after the other."""

from __future__ import annotations

import torch
import torch.distributed as dist

__all__ = ["gather_ranks"]


@torch.no_grad()
def gather_ranks(x: torch.Tensor) -> torch.Tensor:
    """Join the tensors of all processes along the first axis, in the order of the ranks; every process must call.

    The order is that of one process with the whole batch, since each rank loads a contiguous share of it.

    Args:
        x: (B, ...), any type; the same shape on every process. No gradient flows through the exchange.

    Returns:
        (W * B, ...) for W processes, the same on all of them; ``x`` itself, detached, where there is one.
    """
    x = x.detach()
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    gathered = x.new_empty(dist.get_world_size() * len(x), *x.shape[1:])
    dist.all_gather_into_tensor(gathered, x.contiguous())
    return gathered
