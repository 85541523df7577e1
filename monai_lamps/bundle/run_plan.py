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
"""How long a fine-tuning run is: epochs over many images, steps over few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from monai_lamps.data.keys import derive_seed

__all__ = ["RepeatedItems", "RunPlan", "plan_run"]


@dataclass(frozen=True)
class RunPlan:
    """Length of a run.

    Attributes:
        epochs: of the run.
        samples: of an epoch; more than there are images where these are repeated, each time augmented anew.
    """

    epochs: int
    samples: int


def plan_run(images: int, batch_size: int, epochs: int, steps: int = 0, epoch_steps: int = 25) -> RunPlan:
    """Plan a run by epochs, or by steps.

    By epochs, an epoch shows every image once; images that do not fill a batch are repeated until they do. By steps
    (few images), an epoch has at least ``epoch_steps`` steps, so that validation does not come after every look at
    three images; ``steps`` is rounded up to whole epochs of the same length. With fewer steps than a look at all images
    takes, the run is a single epoch that shows as many as it can.

    Args:
        images: training images.
        batch_size: images of a step.
        epochs: length of the run; not looked at when ``steps`` is given.
        steps: length of the run in steps; 0 for ``epochs``.
        epoch_steps: smallest number of steps of an epoch when ``steps`` is given.

    Raises:
        ValueError: when there is no image, or a number is out of its range.
    """
    for name, value, least in (("batch_size", batch_size, 1), ("steps", steps, 0), ("epoch_steps", epoch_steps, 1)):
        if value < least:
            raise ValueError(f"{name} got {value}, expected at least {least}.")
    if images < 1:
        raise ValueError("there is no training image; check the section 'training' of the datalist.")
    if not steps:
        if epochs < 1:
            raise ValueError(f"epochs got {epochs}, expected at least 1; or give --steps.")
        return RunPlan(epochs, max(images, batch_size))
    natural = max(images // batch_size, min(epoch_steps, steps))
    planned = max(1, steps // natural)
    per_epoch = math.ceil(steps / planned)
    return RunPlan(planned, images if per_epoch == images // batch_size else per_epoch * batch_size)


class RepeatedItems(Sequence[Mapping[str, Any]]):
    """A view of items with another length: repeated in turn, or, where fewer are wanted, a choice by a seed.

    Args:
        items: what is shown.
        length: number of items to show, at least 1.
        seed: of the choice.

    Raises:
        ValueError: when there is nothing to show.
    """

    def __init__(self, items: Sequence[Mapping[str, Any]], length: int, seed: int = 0) -> None:
        if not items or length < 1:
            raise ValueError(f"length got {length} for {len(items)} items, expected at least 1 of at least 1.")
        self.items, self.length = items, length
        fewer = length < len(items)
        self._order = sorted(range(len(items)), key=lambda number: derive_seed(seed, number)) if fewer else None

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | list[Mapping[str, Any]]:
        """An item, or a list of some."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.length))]
        if not -self.length <= index < self.length:
            raise IndexError(f"index got {index}, expected one below {self.length}, the number of items.")
        number = index % self.length
        return self.items[number % len(self.items) if self._order is None else self._order[number]]
