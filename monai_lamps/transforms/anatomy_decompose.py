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

"""The Anatomy Decomposer of Adam: an image as a binary tree of parts, each of them halved at the next level."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import Crop, MapTransform, Transform
from monai.utils import TransformBackends, convert_to_tensor
from torch import Tensor

__all__ = [
    "AnatomyDecompose",
    "AnatomyDecomposeD",
    "AnatomyDecomposeDict",
    "AnatomyDecomposed",
    "AnatomyPart",
    "anatomy_hierarchy",
    "decomposition_boxes",
]


@dataclass(frozen=True)
class AnatomyPart:
    """A part of an image, a node of the tree that :py:func:`anatomy_hierarchy` gives.

    Attributes:
        level: granularity, 0 for the whole image.
        index: number among the parts of its level, ``[0, 2**level)``, as in :py:func:`decomposition_boxes`.
        box: (start, stop) along each spatial axis, px of the image; ``stop`` lies outside.
        parent: position in the tree of the part that this one is a half of; None for the whole.
        children: positions in the tree of its two halves, the left or upper one first; empty at the finest level.
    """

    level: int
    index: int
    box: tuple[tuple[int, int], ...]
    parent: int | None
    children: tuple[int, ...]

    @property
    def slices(self) -> tuple[Any, ...]:
        """Index of the part: ``image[part.slices]`` for (..., *spatial), whatever the leading axes."""
        return (Ellipsis, *(slice(start, stop) for start, stop in self.box))


def check_level(level: int) -> int:
    """Return the granularity ``level`` as an int; raises ValueError when it is negative or no whole number."""
    if int(level) != level or level < 0:
        raise ValueError(f"level must be a whole number >= 0 (0 is the whole image), got {level!r}.")
    return int(level)


def decomposition_boxes(shape: Sequence[int], level: int) -> np.ndarray:
    """Boxes of the ``2**level`` parts of an image (Adam, arXiv 2309.15358, section 2.1).

    The image is halved along its last axis (2-D: one vertical cut, a left and a right part), each part along the axis
    before (an upper and a lower one), and so on in turn; after the first axis comes the last again. In 2-D this makes
    ``2**ceil(level / 2)`` columns and ``2**floor(level / 2)`` rows. The released code has an n x n grid for level n
    instead, which gives the same parts for the levels that it trains (0, 2 and 4).

    A side that is no multiple of the number of parts along it gives parts that differ by at most one px; together they
    cover the image once (the released code leaves the remainder out). The parts of a level halve those of the level
    before exactly, at any size.

    Args:
        shape: sides of the image, px, in the order of the spatial axes (2-D: height, width).
        level: granularity, >= 0.

    Returns:
        (2**level, n, 2) int64: ``[start, stop)`` of each part along each of the n axes, px. The order is that of the
        tree: part p of a level has the children 2p (left or upper) and 2p + 1 at the next.

    Raises:
        ValueError: when the level is negative, there is no axis, or a side has fewer px than parts along it.
    """
    level, n = check_level(level), len(shape)
    if n == 0:
        raise ValueError("shape must have at least one side, got none; pass the spatial axes (image.shape[1:]).")
    sides, axes = np.asarray(shape, dtype=np.int64), [n - 1 - split % n for split in range(level)]
    cuts = np.bincount(axes, minlength=n)  # how often each axis is halved
    if (sides >> cuts < 1).any():
        raise ValueError(
            f"an image of spatial shape {tuple(shape)} has no {2**level} parts (level {level}): at least "
            f"{tuple(2 ** int(count) for count in cuts)} px are needed; take a larger image or a coarser level."
        )
    index, place = np.arange(2**level), np.zeros((2**level, n), dtype=np.int64)
    for split, axis in enumerate(axes):
        half = (index >> (level - 1 - split)) & 1  # the first split is the highest bit of the index
        place[:, axis] = 2 * place[:, axis] + half
    return np.stack([place * sides >> cuts, (place + 1) * sides >> cuts], axis=-1)


def anatomy_hierarchy(shape: Sequence[int], level: int) -> list[AnatomyPart]:
    """All parts of an image from the whole to granularity ``level``, as a tree.

    Args:
        shape: sides of the image, px, in the order of the spatial axes.
        level: finest granularity, >= 0.

    Returns:
        ``2**(level + 1) - 1`` parts, level by level from coarse to fine, in the order of
        :py:func:`decomposition_boxes` within a level: part ``index`` of level ``l`` is at position
        ``2**l - 1 + index`` (a binary heap). ``parent`` and ``children`` are positions in this list.

    Raises:
        ValueError: when the level is negative or a side is too short for it.
    """
    boxes = [box for coarse in range(check_level(level) + 1) for box in decomposition_boxes(shape, coarse).tolist()]
    tree = []
    for position, box in enumerate(boxes):
        depth = (position + 1).bit_length() - 1
        tree.append(
            AnatomyPart(
                level=depth,
                index=position + 1 - 2**depth,
                box=tuple((start, stop) for start, stop in box),
                parent=(position - 1) // 2 if position else None,
                children=(2 * position + 1, 2 * position + 2) if depth < level else (),
            )
        )
    return tree


def channel_first(img: NdarrayOrTensor) -> Tensor:
    """One image (C, *spatial) as a tensor of its own type, a MetaTensor if it is one; ValueError for fewer axes."""
    data: Tensor = convert_to_tensor(img, track_meta=isinstance(img, MetaTensor))
    if data.ndim < 2:
        raise ValueError(f"an image must be channel-first, (C, *spatial), got {tuple(data.shape)}; add a channel axis.")
    return data


def crop_part(img: Tensor, box: np.ndarray) -> Tensor:
    """Slice a box (n, 2) out of an image (C, *spatial); a MetaTensor's affine moves along (MONAI's Crop)."""
    slices = tuple(slice(int(start), int(stop)) for start, stop in box)
    if isinstance(img, MetaTensor):
        moved: Tensor = Crop()(img, slices)
        return moved
    index = (slice(None), *slices)
    return img[index]


class AnatomyDecompose(Transform):
    """Decompose one image into its ``2**level`` parts (Adam's Anatomy Decomposer), see :py:func:`decomposition_boxes`.

    Lamps' :py:class:`Decompose` is the other decomposition of this package: it halves every axis at each level, needs
    sides that are divisible, and orders the parts as the composer's weights expect.

    Args:
        level: granularity n, >= 0 (0 gives the whole image).

    Raises:
        ValueError: for a negative level.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, level: int) -> None:
        self.level = check_level(level)

    def __call__(self, img: NdarrayOrTensor) -> list[Tensor]:
        """Decompose (C, *spatial), any number of spatial axes.

        Returns:
            ``2**level`` parts (C, *part) of the image's type, in the order of the tree. They are slices that share its
            memory, as those of MONAI's croppers do; parts of a MetaTensor have their own affine.

        Raises:
            ValueError: when there is no spatial axis or a side is too short for the level.
        """
        data = channel_first(img)
        return [crop_part(data, box) for box in decomposition_boxes(data.shape[1:], self.level)]


class AnatomyDecomposed(MapTransform):
    """Dictionary form of :py:class:`AnatomyDecompose`.

    Writes for each key its parts, ``{key}_{postfix}0``, ``{key}_{postfix}1``, ..., and their boxes,
    ``{key}_{postfix}_box`` (2**level, n, 2) int64, px.

    Args:
        keys: images to decompose; they stay. They may differ in shape.
        level: see :py:class:`AnatomyDecompose`.
        postfix: between the key and the number of the part.
        allow_missing_keys: skip keys that are absent.
    """

    backend = AnatomyDecompose.backend

    def __init__(
        self, keys: KeysCollection, level: int, postfix: str = "part", allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.decompose = AnatomyDecompose(level)
        self.postfix = postfix

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the parts of each key's image (C, *spatial), and their boxes."""
        d = dict(data)
        for key in self.key_iterator(d):
            for i, part in enumerate(self.decompose(d[key])):
                d[f"{key}_{self.postfix}{i}"] = part
            boxes = decomposition_boxes(d[key].shape[1:], self.decompose.level)
            d[f"{key}_{self.postfix}_box"] = torch.from_numpy(boxes)
        return d


AnatomyDecomposeD = AnatomyDecomposeDict = AnatomyDecomposed
