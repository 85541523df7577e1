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
from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends

from monai_lamps.engines import Curriculum
from monai_lamps.methods.adam.curriculum import granularities_of, granularity_at
from monai_lamps.transforms import (
    RandAnatomyDecompose,
    RandResizedCrop,
    Reseeded,
    decomposition_boxes,
    resample_box,
)
from monai_lamps.transforms.resample import as_image

__all__ = [
    "AnatomyPartsd",
    "AnatomyPartsD",
    "AnatomyPartsDict",
    "RandAdamViewsd",
    "RandAdamViewsD",
    "RandAdamViewsDict",
]


class _OneImage(MapTransform):
    """A transform of the one image of a sample."""

    backend = [TransformBackends.TORCH]

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys got {self.keys}, expected one: a sample has one radiograph.")
        self.key = self.keys[0]


class RandAdamViewsd(Reseeded, _OneImage):
    """Two random views of one random part of a radiograph, of the granularity that the curriculum has in this epoch.

    Adam (arXiv 2309.15358): the Anatomy Decomposer gives one part of level n, all equally likely; each view is a random
    resized crop of it. They are cut from the full resolution in one interpolation each. Brightness, contrast, blur and
    rotation follow on the device (:class:`~monai_lamps.methods.adam.AdamAugment`).

    The epoch is looked up under "epoch" in the item, where :class:`~monai_lamps.data.RadiographDataset` puts it. An
    item without one (validation) takes the granularity of a random stage, so that what is measured stays the same over
    the run.

    Granularities should be multiples of the number of axes (2-D: 0, 2, 4, as published), so that parts have the aspect
    of the image. Few crops of the allowed ratio fit in an elongated part, and both views often are its largest centred
    one.

    Added to the dictionary: ``views`` (2, C, size, ...) float32 and ``granularity`` () int64. The image stays.

    Args:
        keys: key of the image (C, *spatial), in [0, 1].
        curriculum: stages by epochs, from :func:`~monai_lamps.methods.adam.adam_curriculum`.
        size: side of a view, px (published 224).
        scale: smallest and largest share of the part's area in a view.
        ratio: smallest and largest width / height of a view.

    Raises:
        ValueError: when there are several keys, or a size, share or ratio is impossible; when called, for an image that
            is too small for the granularity.
    """

    def __init__(
        self,
        keys: KeysCollection,
        curriculum: Curriculum,
        size: int = 224,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        _OneImage.__init__(self, keys)
        self.curriculum = curriculum
        self.granularities = granularities_of(curriculum)
        self.part = RandAnatomyDecompose(0)
        self.crop = RandResizedCrop(size, scale, ratio)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandAdamViewsd:
        """Seed this transform and the two array transforms inside it, which draw from one stream."""
        super().set_random_state(seed, state)
        self.part.set_random_state(state=self.R)
        self.crop.set_random_state(state=self.R)
        return self

    def randomize(self, data: int | None = None) -> None:
        """Decide the granularity.

        Args:
            data: the epoch (0-based), or None to draw one of the stages.
        """
        if data is None:
            self.part.level = self.granularities[self.R.randint(len(self.granularities))]
        else:
            self.part.level = granularity_at(self.curriculum, data)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the views of the image, and their granularity."""
        out = dict(data)
        epoch = out.get("epoch")
        self.randomize(None if epoch is None else int(epoch))
        part = self.part(as_image(out[self.key]))
        out["views"] = torch.stack([self.crop(part) for _ in range(2)])
        out["granularity"] = torch.tensor(self.part.level)
        return out


class AnatomyPartsd(_OneImage):
    """All parts of a radiograph at one granularity, resized to the size of a view, for looking at what is alike.

    Added to the dictionary: ``parts`` (2**level, C, size, ...) float32, in the order of
    :func:`~monai_lamps.transforms.decomposition_boxes`. The image stays.

    Args:
        keys: key of the image (C, *spatial).
        level: granularity n, >= 0.
        size: side of a part after resizing, px; the aspect is not kept.

    Raises:
        ValueError: when there are several keys; when called, for an image that is too small for the granularity.
    """

    def __init__(self, keys: KeysCollection, level: int, size: int = 224) -> None:
        super().__init__(keys)
        self.level, self.size = level, size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the parts of the image."""
        out = dict(data)
        image = as_image(out[self.key])
        boxes = decomposition_boxes(image.shape[1:], self.level).tolist()
        parts = [
            resample_box(image, tuple((start, stop) for start, stop in box), self.size, "bilinear") for box in boxes
        ]
        out["parts"] = torch.stack(parts)
        return out


RandAdamViewsD = RandAdamViewsDict = RandAdamViewsd
AnatomyPartsD = AnatomyPartsDict = AnatomyPartsd
