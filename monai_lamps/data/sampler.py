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

"""One batch sampler for a whole run, whose only state is the step it starts from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler

from monai_lamps.data.keys import derive_seed

__all__ = ["ResumableBatchSampler", "resumable_sampler"]


class ResumableBatchSampler(Sampler[list[tuple[int, ...]]]):
    """
    Yield the batches of a whole run, from any step on, as lists of keys ``(epoch, index)``.

    The order of an epoch is a pure function of (seed, epoch). There is **one** iterator over all epochs: loader workers
    live on across epochs and prefetch over the boundary, and a run resumes in the middle of an epoch by setting
    `start_step`, without loading what it has already seen. The released Lamps code reshuffles identically every epoch
    (its ``sampler.set_epoch`` is commented out) and resumes only at epoch ends; here every epoch has its own order.

    The batch is global: each rank takes its contiguous share of it, so the union over ranks is the batch of a single
    process and the result does not depend on the number of ranks. What remains of an epoch after the last full batch is
    dropped (in every epoch another remainder).

    Args:
        num_samples: size of the dataset, > 0.
        batch_size: samples of one step over **all** ranks, > 0, divisible by `world_size`.
        seed: seed of the run.
        total_epochs: number of epochs of the whole run, > 0. Settable, to extend a run.
        rank: this process, in [0, world_size).
        world_size: number of processes.
        start_step: first step that is yielded, in [0, total_steps]. Settable before an iterator is made.

    Raises:
        ValueError: When a value is out of its range, `batch_size` is not divisible by `world_size`, or the dataset is
            smaller than one batch.

    Example:
        >>> sampler = ResumableBatchSampler(num_samples=5, batch_size=2, total_epochs=3, start_step=3)
        >>> [[epoch for epoch, _ in batch] for batch in sampler]
        [[1, 1], [2, 2], [2, 2]]
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        seed: int = 0,
        total_epochs: int = 1,
        rank: int = 0,
        world_size: int = 1,
        start_step: int = 0,
    ) -> None:
        _at_least("num_samples", num_samples, 1, "is the data list empty?")
        _at_least("batch_size", batch_size, 1, "raise --batch_size.")
        _at_least("world_size", world_size, 1, "pass the number of processes.")
        if not 0 <= rank < world_size:
            raise ValueError(
                f"rank got {rank}, expected 0 <= rank < world_size={world_size}: pass the rank of this process."
            )
        if batch_size % world_size:
            raise ValueError(
                f"batch_size got {batch_size}, expected a multiple of world_size={world_size} because it is the "
                f"batch of all processes together: use {max(batch_size // world_size, 1) * world_size}."
            )
        if num_samples < batch_size:
            raise ValueError(
                f"num_samples got {num_samples}, expected at least batch_size={batch_size}: the data do not fill one "
                f"batch. Use a smaller --batch_size (at most {num_samples}) or add data."
            )
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.total_epochs = total_epochs
        self.start_step = start_step

    @property
    def total_epochs(self) -> int:
        """Number of epochs of the whole run."""
        return self._total_epochs

    @total_epochs.setter
    def total_epochs(self, value: int) -> None:
        _at_least("total_epochs", value, 1, "raise --epochs.")
        self._total_epochs = value

    @property
    def start_step(self) -> int:
        """The global step (0-based) whose batch the next iterator yields first."""
        return self._start_step

    @start_step.setter
    def start_step(self, value: int) -> None:
        if not 0 <= value <= self.total_steps:
            raise ValueError(
                f"start_step got {value}, expected 0 <= start_step <= {self.total_steps} "
                f"({self.total_epochs} epochs of {self.steps_per_epoch} steps): raise total_epochs to continue further."
            )
        self._start_step = value

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in an epoch."""
        return self.num_samples // self.batch_size

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.steps_per_epoch * self.total_epochs

    def permutation(self, epoch: int) -> torch.Tensor:
        """
        Order of the samples in one epoch.

        Args:
            epoch: 0-based epoch.

        Returns:
            ``(num_samples,) int64`` permutation, a function of (seed, epoch) alone.
        """
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
        return torch.randperm(self.num_samples, generator=generator)

    def __iter__(self) -> Iterator[list[tuple[int, ...]]]:
        share = self.batch_size // self.world_size
        current, order = -1, torch.empty(0)
        for step in range(self.start_step, self.total_steps):
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != current:
                current, order = epoch, self.permutation(epoch)
            first = position * self.batch_size + self.rank * share
            yield [(epoch, index) for index in order[first : first + share].tolist()]

    def __len__(self) -> int:
        """Number of steps that remain from `start_step` to the end of the run (not of an epoch)."""
        return max(self.total_steps - self.start_step, 0)


def resumable_sampler(loader: Any) -> ResumableBatchSampler:
    """
    The batch sampler of a loader that can start at any step.

    Args:
        loader: a torch or MONAI `DataLoader`.

    Raises:
        TypeError: When its batch sampler is another one.
    """
    sampler = getattr(loader, "batch_sampler", None)
    if not isinstance(sampler, ResumableBatchSampler):
        raise TypeError(
            f"The loader got a batch_sampler of type {type(sampler).__name__}, expected a ResumableBatchSampler: "
            "use DataLoader(dataset, batch_sampler=ResumableBatchSampler(...))."
        )
    return sampler


def _at_least(name: str, value: int, least: int, mend: str) -> None:
    if value < least:
        raise ValueError(f"{name} got {value}, expected at least {least}: {mend}")
