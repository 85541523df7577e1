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

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, RandomSampler

__all__ = ["EveryNth", "rank_share"]


class EveryNth:
    """Items ``first``, ``first + step``, ... of an iterable, anew at every pass.

    Args:
        items: what is gone through, from the start at every pass.
        first: position of the first item, >= 0.
        step: from one to the next, >= 1.
        stop: position to stop before; None for the end.
    """

    def __init__(self, items: Iterable[Any], first: int = 0, step: int = 1, stop: int | None = None) -> None:
        self.items, self.first, self.step, self.stop = items, first, step, stop

    def __iter__(self) -> Iterator[Any]:
        return islice(self.items, self.first, self.stop, self.step)


def rank_share(
    loader: Iterable[Any], rank: int = 0, world_size: int = 1, max_batches: int | None = None
) -> Iterable[Any]:
    """The batches of one process: the first goes to rank 0, the second to rank 1, and so on in turn.

    Of a torch or MONAI ``DataLoader`` with a data set that has indices the share is a loader like it, which loads no
    batch of another rank and none beyond ``max_batches``; its workers end with the pass. From any other iterable the
    batches of others are discarded.

    Args:
        loader: the batches of all processes, the same and in the same order on each of them.
        rank: this process.
        world_size: number of processes.
        max_batches: how many batches, of all processes together, there are at the most; None for all.

    Raises:
        ValueError: when there are several processes and the loader shuffles, for each would have another order.
    """
    if world_size == 1 and max_batches is None:
        return loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset) or not loader.batch_sampler:
        return EveryNth(loader, rank, world_size, max_batches)
    if world_size > 1 and isinstance(loader.sampler, RandomSampler):
        raise ValueError(
            f"the validation loader shuffles ({type(loader.sampler).__name__}), so {world_size} processes would share "
            "out different orders; expected the same order on all: give it shuffle=False."
        )
    return DataLoader(
        loader.dataset,
        batch_sampler=EveryNth(loader.batch_sampler, rank, world_size, max_batches),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        in_order=loader.in_order,
    )
