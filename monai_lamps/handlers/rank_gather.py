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
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import ignite.distributed as idist
import torch.distributed as dist

__all__ = ["gather_in_turn"]

T = TypeVar("T")


def gather_in_turn(look: Callable[[int, int], list[T]], what: str = "validation pass") -> list[T]:
    """Let every process look at its share, and give every one the answers of all, in the order of the loader.

    The shares are those of :func:`~monai_lamps.handlers.rank_share.rank_share`: the first batch to rank 0, the second
    to rank 1, and so on. When one process fails, the others hear of it instead of waiting for it.

    Args:
        look: from (rank, world size) to one answer for each batch of this share; answers can be pickled.
        what: what an error calls it.

    Returns:
        one answer for each batch of all shares.

    Raises:
        RuntimeError: when it failed on another rank; on that rank, what failed there.
    """
    rank, world = idist.get_rank(), idist.get_world_size()
    if world == 1:
        return look(0, 1)
    failure: Exception | None = None
    shares: list[Any] = [None] * world
    try:
        mine: Any = look(rank, world)
    except Exception as error:  # the others wait for this rank and must hear of it
        failure, mine = error, f"rank {rank}: {type(error).__name__}: {error}"
    dist.all_gather_object(shares, mine)
    if failure is not None:
        raise failure
    for share in shares:
        if isinstance(share, str):
            raise RuntimeError(f"the {what} failed on {share}")
    total = sum(len(share) for share in shares)
    return [shares[number % world][number // world] for number in range(total)]
