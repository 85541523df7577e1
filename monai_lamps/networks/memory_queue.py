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
"""Memory of the embeddings of the last images, first in, first out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .gather_ranks import gather_ranks

__all__ = ["MemoryQueue"]


class MemoryQueue(nn.Module):
    """The teacher's embeddings of the last K images, which serve a contrastive loss as negatives.

    MoCo (arXiv 1911.05722, section 3.2) and the memory bank of Adam (arXiv 2309.15358), there with K = 65536. Both
    buffers lie in the ``state_dict``, so a resumed run goes on with the same negatives. All processes hold the same
    queue. Unlike the released code, K need not be a multiple of the batch, and evaluation leaves no trace.

    Args:
        size: K, the number of embeddings, > 0.
        dim: D, their width, > 0.
        seed: the first keys are random directions that depend on this and the sizes alone, not on process or device.

    Attributes:
        keys: the embeddings (K, D), float32, each of norm 1.
        pointer: slot of the oldest one, which is the next to be replaced; () int64.

    Raises:
        ValueError: when a size is not positive.
    """

    keys: torch.Tensor
    pointer: torch.Tensor

    def __init__(self, size: int, dim: int, seed: int = 0) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"size and dim of a memory queue must be positive, got {size} and {dim}.")
        self.size, self.dim, self.seed = size, dim, seed
        self.register_buffer("keys", self._random_keys())
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    @property
    def negatives(self) -> torch.Tensor:
        """The embeddings (K, D), float32, without gradient and not copied.

        Call :meth:`enqueue` after the backward pass: autograd refuses tensors that have changed since the forward pass.
        """
        return self.keys.detach()

    @torch.no_grad()
    def enqueue(self, keys: torch.Tensor) -> None:
        """Replace the oldest embeddings by those of this batch, of all processes in the order of their ranks.

        In evaluation nothing happens, and nothing is exchanged. Of more than K embeddings the last K stay. One that is
        not finite, or 0, takes no place from the embedding in its slot: it would spoil every loss until it is replaced.

        Args:
            keys: (B, D), float, of any length; the same B on every process, and every process must call.

        Raises:
            ValueError: when the shape is another.
        """
        if keys.ndim != 2 or keys.shape[1] != self.dim:
            raise ValueError(f"expected keys (B, {self.dim}), got {tuple(keys.shape)}.")
        if not self.training:
            return
        new = gather_ranks(keys.float())
        total, new = len(new), new[-self.size :]
        place = torch.arange(total - len(new), total, device=self.keys.device)
        slots = (self.pointer + place) % self.size
        length = torch.linalg.vector_norm(new, dim=1, keepdim=True)
        good = length.isfinite() & (length > 0)
        self.keys[slots] = torch.where(good, new / length, self.keys[slots])
        self.pointer.add_(total).remainder_(self.size)

    @torch.no_grad()
    def reset(self) -> None:
        """Forget everything: back to the random keys of the beginning."""
        self.keys.copy_(self._random_keys())
        self.pointer.zero_()

    def _random_keys(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return F.normalize(torch.randn(self.size, self.dim, generator=generator), dim=1)
