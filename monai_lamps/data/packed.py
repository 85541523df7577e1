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

"""The items of a large data set in two arrays, so that loader workers share them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any, overload

import numpy as np
import numpy.typing as npt

__all__ = ["PackedItems"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class PackedItems(Sequence[Mapping[str, Any]]):
    """
    An immutable sequence of items, kept as JSON text in one buffer; an item becomes a dictionary when it is asked for.

    A list of dictionaries has several Python objects for every image. A forked loader worker that reads one writes its
    reference count, so the worker gets its own copy of the memory page: over an epoch every worker comes to hold the
    whole list. Here there are two arrays, whatever the number of images: forked workers share them for good, and a
    spawned worker receives them in one piece. Reading an item takes some microseconds.

    Args:
        items: mappings of ``str`` to ``None``, ``bool``, ``int``, ``float``, ``str``, or lists and dictionaries of
            these, such as `load_datalist` gives.

    Raises:
        TypeError: When an item is no mapping, or holds something that JSON does not give back as it was: an array, a
            tuple, a path, a key that is no string.

    Example:
        >>> items = PackedItems([{"image": "a.png", "label": [0, 1]}, {"image": "b.png"}])
        >>> len(items), items[-1], len(items[:1])
        (2, {'image': 'b.png'}, 1)
    """

    def __init__(self, items: Iterable[Mapping[str, Any]] = ()) -> None:
        text, offsets = bytearray(), array("q", [0])
        for number, item in enumerate(items):
            text += _encode(_checked(number, item)).encode("ascii")
            offsets.append(len(text))
        self._keep(np.frombuffer(text, np.uint8), np.frombuffer(offsets, np.int64))

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> PackedItems: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | PackedItems:
        """
        One item as a dictionary of its own, or a part of the sequence.

        Args:
            index: position (negative from the end), or a slice. A slice in steps of 1 shares the memory.

        Raises:
            IndexError: When the position is out of range.
        """
        if isinstance(index, slice):
            return self._part(range(*index.indices(len(self))))
        item: dict[str, Any] = json.loads(self._text_of(index))
        return item

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} items, {self.nbytes} bytes)"

    def __getstate__(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        first, last = self._offsets[0], self._offsets[-1]
        return self._text[first:last], self._offsets - first  # of a slice, its own part only

    def __setstate__(self, state: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]) -> None:
        self._keep(*state)

    @property
    def nbytes(self) -> int:
        """Bytes that the items take."""
        return int(self._offsets[-1] - self._offsets[0]) + self._offsets.nbytes

    def _keep(self, text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        self._text, self._offsets = text, offsets
        for values in (text, offsets):
            values.setflags(write=False)

    def _text_of(self, number: int) -> str:
        number = index(number)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index got {number}, expected one below {len(self)}, the number of items.")
        number %= len(self)
        return str(self._text[self._offsets[number] : self._offsets[number + 1]].data, "ascii")

    def _part(self, numbers: range) -> PackedItems:
        part = PackedItems.__new__(PackedItems)
        if numbers.step == 1:
            part._keep(self._text, self._offsets[numbers.start : max(numbers.start, numbers.stop) + 1])
            return part
        chosen = np.arange(numbers.start, numbers.stop, numbers.step)
        offsets = np.concatenate(([0], np.cumsum(np.diff(self._offsets)[chosen])))
        text = "".join(map(self._text_of, numbers)).encode("ascii")
        part._keep(np.frombuffer(text, np.uint8), offsets)
        return part


def _checked(number: int, item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise TypeError(f"items[{number}] got a {type(item).__name__}, expected a mapping such as {{'image': PATH}}.")
    for key, value in item.items():
        if not isinstance(key, str):
            raise TypeError(f"items[{number}] got the key {key!r} of type {type(key).__name__}, expected a string.")
        foreign = _foreign(value)
        if foreign:
            raise TypeError(
                f"items[{number}][{key!r}] got a {foreign}, expected what JSON gives back unchanged (None, bool, int, "
                "float, str, lists and dictionaries of these): convert it, or keep such items in a plain list."
            )
    return dict(item)


def _foreign(value: Any) -> str:
    """Name of the first type in a value that JSON does not give back as it was; empty when there is none."""
    if value is None or isinstance(value, (str, int, float)):
        return ""
    if isinstance(value, list):
        return next(filter(None, map(_foreign, value)), "")
    if isinstance(value, dict):
        keys = (f"dictionary with the key {key!r}" for key in value if not isinstance(key, str))
        return next(keys, "") or next(filter(None, map(_foreign, value.values())), "")
    return type(value).__name__
