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

"""Crops about the centre of an image from small to large: the local views of Adam-v2."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, ensure_tuple_rep
from torch import Tensor

from monai_lamps.transforms.resample import Box, as_image, check_mode, resample_box
from monai_lamps.transforms.reseeded import Reseeded
from monai_lamps.transforms.resized_crop import RandResizedCenterCrop, center_box

__all__ = [
    "RandNestedCrops",
    "RandNestedCropsD",
    "RandNestedCropsDict",
    "RandNestedCropsd",
    "nested_boxes",
    "nested_crops",
    "nested_scales",
]

SMALLEST, LARGEST = 0.05, 0.8  # share of the area
MOST = 15  # crops: the first of 15 even bands still reaches beyond the smallest share


def nested_scales(count: int = 8) -> tuple[tuple[float, float], ...]:
    """Bands that the area shares of nested crops lie in, from small to large, without gap or overlap.

    Eight bands are the published ones of Adam-v2: 0.05-0.1, 0.1-0.2, 0.2-0.3, ..., 0.7-0.8. Another number divides
    [0, 0.8] evenly too, the smallest crop again having at least 0.05.

    Args:
        count: number of crops, 1 to 15.

    Returns:
        ``count`` pairs (low, high), shares of the image's area (volume).

    Raises:
        ValueError: when the first band would be empty or there is none.
    """
    if int(count) != count or not 1 <= count <= MOST:
        raise ValueError(f"count must be a whole number of crops from 1 to {MOST}, got {count!r}.")
    edges = [SMALLEST, *(round(LARGEST * k / count, 6) for k in range(1, int(count) + 1))]
    return tuple(pairwise(edges))


def nested_boxes(shape: Sequence[int], count: int = 8) -> list[Box]:
    """Boxes about the centre of an image, each inside the next, of the shape of the image.

    Args:
        shape: sides of the image, px.
        count: number of boxes, 1 to 15.

    Returns:
        ``count`` boxes in whole px, from small to large; the share of the area (volume) of each is the middle of its
        band in :py:func:`nested_scales`.

    Raises:
        ValueError: for an impossible count.
    """
    shrinks = [((low + high) / 2) ** (1 / len(shape)) for low, high in nested_scales(count)]
    return [center_box(shape, [max(side * shrink, 1) for side in shape]) for shrink in shrinks]


def nested_crops(img: NdarrayOrTensor, count: int = 8, size: int = 96, mode: str = "bicubic") -> list[Tensor]:
    """The boxes of :py:func:`nested_boxes`, resized to a square: the deterministic sibling of RandNestedCrops.

    Args:
        img: (C, *spatial), 2-D or 3-D.
        count: number of crops, 1 to 15.
        size: side of a crop, px.
        mode: "bicubic", "bilinear" or "nearest-exact" (label maps).

    Returns:
        ``count`` tensors (C, size, ...) float32, from the smallest share to the largest.

    Raises:
        ValueError: for an impossible count, size, mode or image.
    """
    data, mode = as_image(img), check_mode(mode)
    if int(size) != size or size < 1:
        raise ValueError(f"size must be a positive whole number of px, got {size!r}.")
    return [resample_box(data, box, int(size), mode) for box in nested_boxes(data.shape[1:], count)]


class RandNestedCrops(Reseeded, Transform):
    """Crops about the centre of an image, from small to large, each of random area and aspect (Adam-v2's local views).

    As in the released code, crop k has a share of the area that is uniform in band k of :py:func:`nested_scales`, and
    the crops are in turn upright and wide: the ratio of width to height is log-uniform between 1 / ``ratio`` and 1 for
    even k, and between 1 and ``ratio`` for odd k. In 3-D this is the ratio of each further axis to axis 0.
    If no such box fits in 10 draws (elongated images), the largest whose ratio is allowed is taken.

    Args:
        count: number of crops, 1 to 15.
        size: side of a crop, px.
        ratio: how far the sides of a crop may differ, >= 1.
        mode: "bicubic" (published), "bilinear" or "nearest-exact" (label maps).

    Attributes:
        boxes: edges of the last crops along each axis, px of their image, from the smallest share to the largest.

    Raises:
        ValueError: for an impossible count, size, ratio or mode.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, count: int = 8, size: int = 96, ratio: float = 1.5, mode: str = "bicubic") -> None:
        if ratio < 1:
            raise ValueError(f"ratio must be at least 1 (the longer side by the shorter), got {ratio}.")
        upright, wide = (1 / ratio, 1.0), (1.0, float(ratio))
        self.crops = [
            RandResizedCenterCrop(size, scale, wide if k % 2 else upright, mode)
            for k, scale in enumerate(nested_scales(count))
        ]

    @property
    def boxes(self) -> list[Box]:
        """See the class; empty before the first draw."""
        return [crop.box for crop in self.crops if crop.box is not None]

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandNestedCrops:
        """Seed this transform; all crops draw from its one source of random numbers."""
        super().set_random_state(seed, state)
        for crop in self.crops:
            crop.set_random_state(state=self.R)
        return self

    def randomize(self, data: Sequence[int]) -> None:
        """Draw new boxes for an image of spatial shape ``data`` (px)."""
        for crop in self.crops:
            crop.randomize(data)

    def __call__(self, img: NdarrayOrTensor, mode: str | None = None, randomize: bool = True) -> list[Tensor]:
        """Cut the crops.

        Args:
            img: (C, *spatial), 2-D or 3-D.
            mode: interpolation for this call, default that of the object.
            randomize: draw new boxes; False uses the last ones again.

        Returns:
            ``count`` tensors (C, size, ...) float32, from the smallest share to the largest.

        Raises:
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        data = as_image(img)
        if randomize:
            self.randomize(data.shape[1:])
        return [crop(data, mode, randomize=False) for crop in self.crops]


class RandNestedCropsd(Reseeded, MapTransform):
    """Dictionary form of :py:class:`RandNestedCrops`: the same crops of every key.

    Writes ``{key}_{postfix}0``, ``{key}_{postfix}1``, ... for each key; the image itself stays.

    Args:
        keys: images to cut; all of one spatial shape.
        count, size, ratio: see :py:class:`RandNestedCrops`.
        mode: interpolation, one for all keys or one per key ("nearest-exact" for label maps).
        postfix: between the key and the number of the crop.
        allow_missing_keys: skip keys that are absent.

    Raises:
        ValueError: when the keys differ in spatial shape.
    """

    backend = RandNestedCrops.backend

    def __init__(
        self,
        keys: KeysCollection,
        count: int = 8,
        size: int = 96,
        ratio: float = 1.5,
        mode: str | Sequence[str] = "bicubic",
        postfix: str = "crop",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.mode = tuple(check_mode(m) for m in ensure_tuple_rep(mode, len(self.keys)))
        self.nested = RandNestedCrops(count, size, ratio)
        self.postfix = postfix

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandNestedCropsd:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.nested.set_random_state(state=self.R)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the crops of each key's image (C, *spatial)."""
        d = dict(data)
        shapes = {key: tuple(d[key].shape[1:]) for key in self.key_iterator(d)}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"all keys must have one spatial shape to share crops, got {shapes}; resample first.")
        for number, (key, mode) in enumerate(self.key_iterator(d, self.mode)):
            for i, crop in enumerate(self.nested(d[key], mode, randomize=number == 0)):
                d[f"{key}_{self.postfix}{i}"] = crop
        return d


RandNestedCropsD = RandNestedCropsDict = RandNestedCropsd
