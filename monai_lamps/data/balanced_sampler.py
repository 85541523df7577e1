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

"""Batches in which every organ (or any other group) has an equal part, however rare it is in the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from monai_lamps.data.keys import derive_seed
from monai_lamps.data.sampler import ResumableBatchSampler

__all__ = ["BalancedBatchSampler"]


class BalancedBatchSampler(ResumableBatchSampler):
    """
    A `ResumableBatchSampler` whose batches hold `per_group` samples of each of several groups.

    Supervised contrast (Coda, MICCAI 2025; arXiv 2004.11362, appendix) needs several images of an organ in a batch:
    in a batch of 64 that is drawn from 23 organs at random, many have no other image of their own organ. Coda says
    nothing of its batches; this is our choice.

    A batch has ``batch_size / per_group`` places, each for `per_group` samples of one group. The groups stand in a
    circle in random order and take the places in turn, so the groups of a batch differ where there are enough of them,
    and two of them never differ by more than one place. The circle is drawn anew whenever a batch ends where it began.
    Each group hands out its own samples in random order, and begins again in another order when all have had their
    turn: the samples of a small group come several times in an epoch, those of a large one need several epochs, and
    none is left out or preferred within its group. An epoch is as many steps as with the parent class, which is one
    visit to each sample on average; with G groups, one of n samples is gone through in ``n * G / num_samples`` epochs.

    Samples of group -1 (organ unknown) take part as one more group.

    Keys are ``(epoch, index, lap)``, where the lap counts how often the group has been gone through before: a sample
    that comes again in the same epoch, or even batch, has another lap, and `RadiographDataset` draws other views of it.
    All is computed from (seed, step), so a start at any step costs the same. Within a batch, sample after sample of all
    places follow each other: with `per_group` divisible by `world_size`, every rank has the same groups equally often.

    Args:
        groups: group of each sample, an integer >= -1; what its numbers mean does not matter.
        batch_size: samples of one step over **all** ranks, > 0, divisible by `per_group` and `world_size`.
        per_group: samples at a place, > 0.
        seed, total_epochs, rank, world_size, start_step: see `ResumableBatchSampler`.

    Raises:
        ValueError: When a value is out of its range or `batch_size` not divisible, or there are fewer samples than in
            a batch.

    Example:
        >>> sampler = BalancedBatchSampler(groups=[0, 0, 0, 0, 0, 1], batch_size=4, per_group=2)
        >>> [sorted(index == 5 for _, index, _ in batch) for batch in sampler]
        [[False, False, True, True]]
    """

    def __init__(
        self,
        groups: Sequence[int],
        batch_size: int,
        per_group: int = 4,
        seed: int = 0,
        total_epochs: int = 1,
        rank: int = 0,
        world_size: int = 1,
        start_step: int = 0,
    ) -> None:
        labels = _checked(groups)
        super().__init__(len(labels), batch_size, seed, total_epochs, rank, world_size, start_step)
        if per_group < 1 or batch_size % per_group:
            raise ValueError(
                f"per_group got {per_group}, expected a divisor of batch_size={batch_size}: a batch holds per_group "
                "samples of each of batch_size / per_group groups."
            )
        self.per_group = per_group
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._orders: dict[int, tuple[tuple[int, int], npt.NDArray[np.int64]]] = {}  # the one in use, for each group

    @property
    def groups_per_batch(self) -> int:
        """Number of places in a batch, each for `per_group` samples of one group."""
        return self.batch_size // self.per_group

    def batch(self, step: int) -> list[tuple[int, int, int]]:
        """
        The keys of one step over all ranks.

        Args:
            step: global step (0-based), >= 0.

        Returns:
            `batch_size` keys ``(epoch, index, lap)``, a function of (seed, step) alone.
        """
        epoch, count = step // self.steps_per_epoch, len(self._members)
        first = step * self.groups_per_batch
        places = range(first, first + self.groups_per_batch)
        circle = self._order(count, np.arange(count), first // math.lcm(self.groups_per_batch, count))
        keys = []
        for sample in range(self.per_group):
            for place in places:
                group = int(circle[place % count])
                members = self._members[group]
                # each turn of the circle takes per_group samples of every group
                lap, position = divmod(place // count * self.per_group + sample, len(members))
                keys.append((epoch, int(self._order(group, members, lap)[position]), lap))
        return keys

    def permutation(self, epoch: int) -> torch.Tensor:
        """
        Order of the samples in one epoch, in which samples of small groups come several times.

        Args:
            epoch: 0-based epoch.

        Returns:
            ``(steps_per_epoch * batch_size,) int64``.
        """
        first = epoch * self.steps_per_epoch
        steps = range(first, first + self.steps_per_epoch)
        return torch.tensor([index for step in steps for _, index, _ in self.batch(step)])

    def __iter__(self) -> Iterator[list[tuple[int, ...]]]:
        share = self.batch_size // self.world_size
        for step in range(self.start_step, self.total_steps):
            yield [*self.batch(step)[self.rank * share : (self.rank + 1) * share]]

    def _order(self, group: int, members: npt.NDArray[np.int64], lap: int) -> npt.NDArray[np.int64]:
        """The members of a group in the order of a lap."""
        key = (self.seed, lap)
        if group not in self._orders or self._orders[group][0] != key:
            # negative, unlike the epochs that key the draws of samples
            generator = torch.Generator().manual_seed(derive_seed(self.seed, -1 - group, lap))
            self._orders[group] = key, members[torch.randperm(len(members), generator=generator).numpy()]
        return self._orders[group][1]


def _checked(groups: Sequence[int]) -> npt.NDArray[np.int64]:
    labels = np.asarray(groups)
    if labels.ndim != 1 or (len(labels) and not np.issubdtype(labels.dtype, np.integer)):
        raise ValueError(
            f"groups got {labels.dtype} of shape {labels.shape}, expected a list of integers, one for each sample: "
            "number the groups, -1 for unknown."
        )
    if len(labels) and labels.min() < -1:
        raise ValueError(
            f"groups got {labels.min()} for sample {labels.argmin()}, expected integers >= -1: number the groups from "
            "0, -1 for unknown."
        )
    return labels.astype(np.int64)
