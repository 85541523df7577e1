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
"""Deterministic transforms whose results stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from monai.transforms import Compose, Randomizable, Transform
from torch import Tensor

__all__ = ["Remembered"]


class Remembered(Transform):
    """Transforms that draw nothing at random: an item goes through them once, then its result is in memory.

    Reading and resizing a large film takes longer than a training step, and few-shot training looks at the same films
    hundreds of times. MONAI's ``CacheDataset`` would do the same for a dataset of its own; the random draws here belong
    to :class:`~monai_lamps.data.RadiographDataset`, which is keyed by (epoch, index). Every loader worker remembers for
    itself. When the memory is full, further items are computed each time; the numbers are the same either way.

    Put ``EnsureTyped(track_meta=False)`` last: random transforms write into the history of a ``MetaTensor``.

    Args:
        transforms: deterministic transforms of an item.
        memory_gb: how much is remembered at most, 10^9 bytes a process; 0 for nothing.
        key: entry of the item with the file that tells it from others.

    Raises:
        ValueError: when a transform is random, or ``memory_gb`` is negative.
    """

    def __init__(self, transforms: Sequence[Callable], memory_gb: float = 1.0, key: str = "image") -> None:
        self.transform = Compose(list(transforms))
        drawn = [type(each).__name__ for each in self.transform.flatten().transforms if isinstance(each, Randomizable)]
        if drawn:
            raise ValueError(f"{drawn[0]} draws at random and cannot be remembered; put it behind Remembered.")
        if not memory_gb >= 0:
            raise ValueError(f"memory_gb got {memory_gb}, expected >= 0; 0 remembers nothing.")
        self.key = key
        self._left = memory_gb * 1e9
        self._known: dict[Hashable, dict[Hashable, Any]] = {}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The transformed item.

        Args:
            data: an item of a datalist.
        """
        name = data.get(self.key)
        known = self._known.get(name) if isinstance(name, str) else None
        if known is not None:
            return dict(known)
        result: dict[Hashable, Any] = self.transform(dict(data))
        size = sum(value.nbytes for value in result.values() if isinstance(value, Tensor))
        if isinstance(name, str) and size <= self._left:
            self._left -= size
            self._known[name] = dict(result)
        return result
