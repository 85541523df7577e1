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

"""What the anchors of a batch are held apart from."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from monai_lamps.networks import MemoryQueue, gather_ranks

__all__ = ["queue_and_batch_negatives", "queue_negatives"]


def queue_negatives(queue: MemoryQueue, key: Tensor) -> tuple[Tensor, Tensor | None]:
    """The memory alone, as published (arXiv 2309.15358, equation 1).

    Args:
        queue: embeddings of earlier batches (K, D).
        key: the teacher's projections of this batch (B, D), not used.

    Returns:
        the negatives (K, D), and None: none of them is an anchor's own key.
    """
    return queue.negatives, None


def queue_and_batch_negatives(queue: MemoryQueue, key: Tensor) -> tuple[Tensor, Tensor | None]:
    """The memory and the other keys of this batch, of all processes.

    Not published. The keys in the memory are older than those of the batch, and while the teacher moves fast, as it
    must in a short run, old can be told from new without looking at the anatomy; the keys of one batch are all of one
    age.

    Args:
        queue: embeddings of earlier batches (K, D).
        key: the teacher's projections of this batch (B, D), the same B on every process.

    Returns:
        the negatives (K + W * B, D) for W processes, and which of them is an anchor's own key (B, K + W * B), bool.
    """
    keys = gather_ranks(key)
    negatives = torch.cat([queue.negatives, keys.to(queue.negatives.dtype)])
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    place = torch.arange(len(key), device=key.device) + len(queue.negatives) + rank * len(key)
    return negatives, place[:, None] == torch.arange(len(negatives), device=key.device)
