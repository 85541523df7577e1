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
"""Batches that change their company: shuffling over processes, for batch normalisation in contrastive learning."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist

from .gather_ranks import gather_ranks

__all__ = ["shuffle_ranks"]


def shuffle_ranks(x: torch.Tensor, seed: int) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Exchange the samples of a batch among all processes at random; the way back comes along.

    The shuffling BN of MoCo (arXiv 1911.05722, section 3.3), which Adam takes over: batch normalisation betrays which
    images were in one batch, so the two views of an image would be matched by their company. The teacher therefore
    sees every image among others than the student does. Parameters stay those of plain batch normalisation; with
    ``SyncBatchNorm`` all images share their statistics and shuffling changes nothing. With one process there are no
    other batches, and nothing is done.

    Args:
        x: (B, ...), the same shape on every process. No gradient flows through the exchange.
        seed: decides the permutation: the same on every process, another for every step. There is no other state.

    Returns:
        this process's share of the shuffled batch, (B, ...), and the function that takes what a network made of it,
        (B, ...), back to the order and the processes of ``x``. Every process must call both. The function raises
        ValueError when it gets another number of samples.

    Example:
        >>> shuffled, restore = shuffle_ranks(images, derive_seed(seed, progress.step))
        >>> keys = restore(teacher(shuffled))
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x, lambda y: y
    batch, together = len(x), gather_ranks(x)
    order = torch.randperm(len(together), generator=torch.Generator().manual_seed(seed)).to(x.device)
    mine = slice(dist.get_rank() * batch, (dist.get_rank() + 1) * batch)

    def restore(y: torch.Tensor) -> torch.Tensor:
        if len(y) != batch:
            raise ValueError(f"expected {batch} samples, as many as were shuffled, got {len(y)}.")
        return gather_ranks(y)[order.argsort()[mine]]

    return together[order[mine]], restore
