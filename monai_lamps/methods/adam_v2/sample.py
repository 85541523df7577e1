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
"""What one training sample of Adam-v2 is: a region, its views from large to small, and its parts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends
from torch import Tensor

from monai_lamps.engines import Curriculum
from monai_lamps.methods.adam_v2.curriculum import stage_at, stages_of
from monai_lamps.transforms import (
    RandNestedCrops,
    RandResizedCenterCrop,
    RandResizedCrop,
    Reseeded,
    decomposition_boxes,
    resample_box,
)
from monai_lamps.transforms.resample import Box, as_image

__all__ = ["RandAdamV2ViewsD", "RandAdamV2ViewsDict", "RandAdamV2Viewsd"]

_MODE = "bicubic"


class RandAdamV2Viewsd(Reseeded, MapTransform):
    """Views of one random region of a radiograph, of the granularity g that the curriculum has in this epoch.

    Adam-v2 (CVPR 2024):

    - *warm-up*: a square whose side is a 2**g-th of the image's shorter one, at any place; two global views of 0.8 to 1
      of its area and local ones of 0.05 to 0.4 of it, at any place of the square;
    - *joint*: the image (g = 0), or a region with a 2**g-th of each of its sides, off the border where there is room.
      The region itself is the whole; about its centre lie a global view and the nested local views
      (:class:`~monai_lamps.transforms.RandNestedCrops`); its halves along every axis are the parts.

    Everything is cut from the full resolution in one interpolation each. Brightness, contrast, blur and rotation follow
    on the device (:class:`~monai_lamps.methods.adam_v2.AdamV2Augment`).

    The epoch is looked up under "epoch" in the item, where :class:`~monai_lamps.data.RadiographDataset` puts it. An
    item without one (validation) takes a random phase of joint training, or of the warm-up where there is no other.

    Added to the dictionary: ``globals`` (2 or, if joint, 1, C, size, ...), ``locals`` (local_views, C, local_size,
    ...), if joint ``whole`` (C, size, ...) and ``parts`` (2**n, C, size, ...), all float32; ``granularity`` () int64.
    The parts are in the order of :func:`~monai_lamps.transforms.decomposition_boxes` (in 2-D top-left, bottom-left,
    top-right, bottom-right, as those of Lamps; released: row by row). The image stays.

    Args:
        keys: key of the image (C, *spatial), in [0, 1].
        curriculum: phases by epochs, from :func:`~monai_lamps.methods.adam_v2.adam_v2_curriculum`.
        size: side of wholes, parts and global views, px (published 224).
        local_size: side of local views, px (published 96).
        local_views: number of local views, 1 to 15 (published 8).
        margin: how far from the border regions stay in joint training, share of the side (released: 50 px of 1024).

    Raises:
        ValueError: when there are several keys, or a size, number or share is impossible; when called, for an image
            that is too small for the granularity.
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        keys: KeysCollection,
        curriculum: Curriculum,
        size: int = 224,
        local_size: int = 96,
        local_views: int = 8,
        margin: float = 0.05,
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys got {self.keys}, expected one: a sample has one radiograph.")
        if not 0 <= margin < 0.5:
            raise ValueError(f"margin must be a share of the side in [0, 0.5), got {margin}.")
        self.key, self.curriculum, self.size = self.keys[0], curriculum, size
        self.local_views, self.margin = local_views, margin
        stages = stages_of(curriculum)
        self.validation_stages = [stage for stage in stages if stage[1]] or stages
        self.granularity, self.joint = self.validation_stages[0]
        self.global_crop = RandResizedCrop(size, (0.8, 1.0), mode=_MODE)
        self.local_crop = RandResizedCrop(local_size, (0.05, 0.4), mode=_MODE)
        self.center_crop = RandResizedCenterCrop(size, (0.8, 1.0), mode=_MODE)
        self.nested_crops = RandNestedCrops(local_views, local_size, mode=_MODE)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandAdamV2Viewsd:
        """Seed this transform and the array transforms inside it, which draw from one stream."""
        super().set_random_state(seed, state)
        for crop in (self.global_crop, self.local_crop, self.center_crop, self.nested_crops):
            crop.set_random_state(state=self.R)
        return self

    def randomize(self, data: int | None = None) -> None:
        """Decide the phase.

        Args:
            data: the epoch (0-based), or None to draw one of the phases.
        """
        if data is None:
            stage = self.validation_stages[self.R.randint(len(self.validation_stages))]
        else:
            stage = stage_at(self.curriculum, data)
        self.granularity, self.joint = stage

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the views of the image, and their granularity."""
        out = dict(data)
        epoch = out.get("epoch")
        self.randomize(None if epoch is None else int(epoch))
        image = as_image(out[self.key])
        index = (slice(None), *self._region(image.shape[1:]))
        region = image[index]
        out.update(self._joint_views(region) if self.joint else self._warm_up_views(region))
        out["granularity"] = torch.tensor(self.granularity)
        return out

    def _region(self, shape: Sequence[int]) -> list[slice]:
        """Where the region lies along each axis, px."""
        parts = 2**self.granularity
        sides = [side // parts for side in shape] if self.joint else [min(shape) // parts] * len(shape)
        if min(sides) < 2:
            raise ValueError(
                f"an image of {tuple(shape)} px is too small for regions of granularity {self.granularity}; give "
                "larger images, or a curriculum of smaller granularities."
            )
        slices = []
        for length, side in zip(shape, sides):
            room = length - side
            off = round(self.margin * length) if self.joint else 0
            off = off if room > 2 * off else 0
            start = off + self.R.randint(room - 2 * off + 1)
            slices.append(slice(start, start + side))
        return slices

    def _warm_up_views(self, region: Tensor) -> dict[str, Tensor]:
        return {
            "globals": torch.stack([self.global_crop(region) for _ in range(2)]),
            "locals": torch.stack([self.local_crop(region) for _ in range(self.local_views)]),
        }

    def _joint_views(self, region: Tensor) -> dict[str, Tensor]:
        shape = region.shape[1:]
        boxes = decomposition_boxes(shape, len(shape)).tolist()
        return {
            "whole": self._resized(region, [(0, side) for side in shape]),
            "globals": self.center_crop(region)[None],
            "locals": torch.stack(self.nested_crops(region)),
            "parts": torch.stack([self._resized(region, box) for box in boxes]),
        }

    def _resized(self, region: Tensor, edges: Sequence[Sequence[int]]) -> Tensor:
        box: Box = tuple((float(start), float(stop)) for start, stop in edges)
        return resample_box(region, box, self.size, _MODE)


RandAdamV2ViewsD = RandAdamV2ViewsDict = RandAdamV2Viewsd
