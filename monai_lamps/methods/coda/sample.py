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
"""What one training sample of Coda is: the whole radiograph, and local views of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends

from monai_lamps.engines import Curriculum
from monai_lamps.methods.coda.views import MOST_LOCALS
from monai_lamps.transforms import RandMultiCrop, RandResizedCrop, Reseeded
from monai_lamps.transforms.resample import as_image

__all__ = ["RandCodaViewsD", "RandCodaViewsDict", "RandCodaViewsd"]

_MODE = "bicubic"


class RandCodaViewsd(Reseeded, MapTransform):
    """The views of a radiograph that the objectives of the curriculum need.

    Coda (MICCAI 2025): two augmented copies of the whole for the inter-organ branch, the first for the student, the
    second for the teacher; for the intra-organ branch the teacher's copy of the whole and local views of 0.4 to 0.7 of
    its area for the student. A whole is a random crop of nearly all of the image, as the paper lists random cropping
    among its augmentations without a scale for them; 0.8 to 1 of the area is Adam-v2's. Of an elongated image it is the
    largest centred box with a ratio of 3/4.

    Everything is cut from the full resolution in one interpolation each. Brightness, contrast, blur and rotation follow
    on the device (:class:`~monai_lamps.methods.coda.CodaAugment`).

    Added to the dictionary: ``wholes`` (2, C, size, ...), or only the teacher's (1, C, size, ...) where nothing is
    contrasted, and, where it is distilled, ``locals`` (local_views, C, local_size, ...), all float32. The image stays.

    Args:
        keys: key of the image (C, *spatial), in [0, 1].
        curriculum: objectives, from :func:`~monai_lamps.methods.coda.coda_curriculum`.
        size: side of wholes, px (published 224).
        local_size: side of local views, px (published 96).
        local_views: number of local views, 1 to 62 (published 12).
        scale: smallest and largest share of the image's area in a whole.
        local_scale: smallest and largest share of the image's area in a local view (published 0.4 to 0.7).

    Raises:
        ValueError: when there are several keys, or a size, number or share is impossible.
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        keys: KeysCollection,
        curriculum: Curriculum,
        size: int = 224,
        local_size: int = 96,
        local_views: int = 12,
        scale: tuple[float, float] = (0.8, 1.0),
        local_scale: tuple[float, float] = (0.4, 0.7),
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys got {self.keys}, expected one: a sample has one radiograph.")
        if not 1 <= local_views <= MOST_LOCALS:
            raise ValueError(f"local_views must be a whole number from 1 to {MOST_LOCALS}, got {local_views}.")
        self.key = self.keys[0]
        crops = {"wholes": (RandResizedCrop(size, scale, mode=_MODE), 2 if "inter" in curriculum.objectives else 1)}
        if "intra" in curriculum.objectives:
            crops["locals"] = (RandResizedCrop(local_size, local_scale, mode=_MODE), local_views)
        self.names = tuple(crops)
        self.crops = RandMultiCrop([crop for crop, _ in crops.values()], [count for _, count in crops.values()])

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandCodaViewsd:
        """Seed this transform and the array transform inside it, which draw from one stream."""
        super().set_random_state(seed, state)
        self.crops.set_random_state(state=self.R)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the views of the image."""
        return {**data, **dict(zip(self.names, self.crops(as_image(data[self.key])), strict=True))}


RandCodaViewsD = RandCodaViewsDict = RandCodaViewsd
