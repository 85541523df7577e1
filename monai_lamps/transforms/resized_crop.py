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

"""A random crop resized to a fixed size, as contrastive methods make their views, anywhere or about the centre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.config.type_definitions import KeysCollection

from monai_lamps.transforms.grid_region import RandGridRegion, RandGridRegiond
from monai_lamps.transforms.resample import Box

__all__ = [
    "RandResizedCenterCrop",
    "RandResizedCenterCropD",
    "RandResizedCenterCropDict",
    "RandResizedCenterCropd",
    "RandResizedCrop",
    "RandResizedCropD",
    "RandResizedCropDict",
    "RandResizedCropd",
    "center_box",
]


def center_box(shape: Sequence[int], sides: Sequence[float]) -> Box:
    """The box of ``sides`` px, rounded to whole px, about the centre of an image of spatial ``shape`` px.

    Where image and box differ by an odd number of px, the smaller margin comes first.
    """
    starts = [(full - round(side)) // 2 for full, side in zip(shape, sides, strict=True)]
    return tuple((float(start), float(start + round(side))) for start, side in zip(starts, sides, strict=True))


def _one_cell(size: int, scale: tuple[float, float], ratio: tuple[float, float]) -> dict[str, Any]:
    """The crop in the words of :py:class:`RandGridRegion`: a region of one cell without margin."""
    if int(size) != size or size < 1:
        raise ValueError(f"size must be a positive whole number of px, got {size!r}.")
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale must be shares (low, high) of the area with 0 < low <= high <= 1, got {scale}.")
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
        raise ValueError(f"ratio must be (low, high) of width / height with 0 < low <= high, got {ratio}.")
    return {"cell": int(size), "region": 1, "margin": 0, "area": tuple(scale), "aspect": tuple(ratio)}


class RandResizedCrop(RandGridRegion):
    """Crop a box of random area and aspect at a random place and resize it to a square (Adam, arXiv 2309.15358).

    MONAI's random croppers draw sides in px, and its resizing comes as a second transform; this one draws as the
    contrastive methods do, and resamples once with antialiasing. It is a :py:class:`RandGridRegion` of one cell
    without margin, and shares its draws: up to 10 tries, then the largest centred box whose ratio is allowed; in 3-D
    ``scale`` is a share of the volume and each further axis has its own ratio to axis 0. A crop that is smaller than
    ``size`` is enlarged.

    Args:
        size: side of the result, px (published 224).
        scale: smallest and largest share of the image's area (volume) in the crop, in (0, 1].
        ratio: smallest and largest ratio of a further axis to axis 0 (2-D: width / height, px), > 0; log-uniform.
        mode: "bilinear" (published), "bicubic" or "nearest-exact" (label maps).

    Attributes:
        box: edges of the last crop along each axis, px of its image.

    Raises:
        ValueError: for an impossible size, share, ratio or mode.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        mode: str = "bilinear",
    ) -> None:
        super().__init__(**_one_cell(size, scale, ratio), mode=mode)


class RandResizedCenterCrop(RandResizedCrop):
    """:py:class:`RandResizedCrop` about the centre of the image: only the area and the aspect are random (Adam-v2).

    Args:
        size, scale, ratio, mode: see :py:class:`RandResizedCrop`.
    """

    def randomize(self, data: Sequence[int]) -> None:
        """Draw a new box about the centre of an image of spatial shape ``data`` (px)."""
        super().randomize(data)
        assert self.box is not None
        self.box = center_box(data, [stop - start for start, stop in self.box])


class RandResizedCropd(RandGridRegiond):
    """Dictionary form of :py:class:`RandResizedCrop`: the same crop of every key.

    Args:
        keys: images to replace by their crop; all of one spatial shape.
        size, scale, ratio: see :py:class:`RandResizedCrop`.
        mode: interpolation, one for all keys or one per key ("nearest-exact" for label maps).
        allow_missing_keys: skip keys that are absent.

    Raises:
        ValueError: when the keys differ in spatial shape.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: int,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, **_one_cell(size, scale, ratio), mode=mode, allow_missing_keys=allow_missing_keys)


class RandResizedCenterCropd(RandResizedCropd):
    """Dictionary form of :py:class:`RandResizedCenterCrop`: the same crop of every key.

    Args:
        keys, size, scale, ratio, mode, allow_missing_keys: see :py:class:`RandResizedCropd`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: int,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, size, scale, ratio, mode, allow_missing_keys)
        self.region = RandResizedCenterCrop(size, scale, ratio)


RandResizedCropD = RandResizedCropDict = RandResizedCropd
RandResizedCenterCropD = RandResizedCenterCropDict = RandResizedCenterCropd
