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

"""Several crops of one image in groups of their own size and scale: the views of self-distillation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, ensure_tuple_rep
from torch import Tensor

from monai_lamps.transforms.grid_region import RandGridRegion
from monai_lamps.transforms.resample import Box, as_image, check_mode
from monai_lamps.transforms.reseeded import Reseeded

__all__ = ["RandMultiCrop", "RandMultiCropD", "RandMultiCropDict", "RandMultiCropd"]


class RandMultiCrop(Reseeded, Transform):
    """Groups of random crops of one image, each group with a size and a scale of its own.

    Multi-crop is from SwAV (arXiv 2006.09882) and DINO (arXiv 2104.14294): two views of 224 px with 0.4 to 1 of the
    area, and eight of 96 px with 0.05 to 0.4. Coda (MICCAI 2025): 12 local crops of 96 px with 0.4 to 0.7.

    Args:
        crops: one transform for each group, such as :py:class:`RandResizedCrop` or :py:class:`RandResizedCenterCrop`;
            they are used by this transform alone.
        counts: number of crops in each group, >= 1.

    Attributes:
        boxes: for each group, edges of the last crops along each axis, px of their image.

    Raises:
        ValueError: when there is no group, or crops and counts differ in number, or a count is impossible.
        TypeError: when a crop is no random region.

    Example:
        >>> dino = RandMultiCrop([RandResizedCrop(224, (0.4, 1)), RandResizedCrop(96, (0.05, 0.4))], counts=[2, 8])
        >>> [tuple(views.shape) for views in dino(torch.rand(1, 300, 250))]
        [(2, 1, 224, 224), (8, 1, 96, 96)]
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, crops: Sequence[RandGridRegion], counts: Sequence[int]) -> None:
        if len(crops) != len(counts) or not crops:
            raise ValueError(f"expected a count for each of at least one crop, got {len(crops)} and {list(counts)}.")
        for crop in crops:
            if not isinstance(crop, RandGridRegion):
                raise TypeError(f"crops got a {type(crop).__name__}, expected transforms such as RandResizedCrop.")
        for count in counts:
            if int(count) != count or count < 1:
                raise ValueError(f"counts must be whole numbers of crops >= 1, got {list(counts)}; leave a group out.")
        self.crops = tuple(crops)
        self.counts = tuple(int(count) for count in counts)
        self.boxes: list[list[Box]] = []

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandMultiCrop:
        """Seed this transform; all crops draw from its one source of random numbers."""
        super().set_random_state(seed, state)
        for crop in self.crops:
            crop.set_random_state(state=self.R)
        return self

    def randomize(self, data: Sequence[int]) -> None:
        """Draw new boxes for an image of spatial shape ``data`` (px)."""
        self.boxes = [[self._drawn(crop, data) for _ in range(n)] for crop, n in zip(self.crops, self.counts)]

    def __call__(self, img: NdarrayOrTensor, mode: str | None = None, randomize: bool = True) -> list[Tensor]:
        """Cut the crops.

        Args:
            img: (C, *spatial), 2-D or 3-D.
            mode: interpolation for this call, default that of each crop.
            randomize: draw new boxes; False uses the last ones again.

        Returns:
            for each group (count, C, size, ...) float32.

        Raises:
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        data = as_image(img)
        if randomize:
            self.randomize(data.shape[1:])
        if not self.boxes:
            raise RuntimeError("no boxes have been drawn yet; call randomize(spatial_shape) before randomize=False.")
        groups = []
        for crop, boxes in zip(self.crops, self.boxes, strict=True):
            views = []
            for box in boxes:
                crop.box = box
                views.append(crop(data, mode, randomize=False))
            groups.append(torch.stack(views))
        return groups

    @staticmethod
    def _drawn(crop: RandGridRegion, shape: Sequence[int]) -> Box:
        crop.randomize(shape)
        assert crop.box is not None
        return crop.box


class RandMultiCropd(Reseeded, MapTransform):
    """Dictionary form of :py:class:`RandMultiCrop`: the same crops of every key.

    Writes ``{key}_{name}`` for each key and group, (count, C, size, ...) float32; the image itself stays.

    Args:
        keys: images to cut; all of one spatial shape.
        crops, counts: see :py:class:`RandMultiCrop`.
        names: a name for each group, such as "globals" and "locals".
        mode: interpolation, one for all keys or one per key ("nearest-exact" for label maps); None is that of each
            crop.
        allow_missing_keys: skip keys that are absent.

    Raises:
        ValueError: when names and groups differ in number or a name comes twice; when called, when the keys differ in
            spatial shape.
    """

    backend = RandMultiCrop.backend

    def __init__(
        self,
        keys: KeysCollection,
        crops: Sequence[RandGridRegion],
        counts: Sequence[int],
        names: Sequence[str] = ("globals", "locals"),
        mode: str | Sequence[str | None] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.mode = tuple(m if m is None else check_mode(m) for m in ensure_tuple_rep(mode, len(self.keys)))
        self.multi_crop = RandMultiCrop(crops, counts)
        self.names = tuple(names)
        if len(self.names) != len(self.multi_crop.counts) or len(set(self.names)) != len(self.names):
            raise ValueError(f"expected {len(counts)} different names, one for each group of crops, got {self.names}.")

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandMultiCropd:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.multi_crop.set_random_state(state=self.R)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the crops of each key's image (C, *spatial)."""
        d = dict(data)
        shapes = {key: tuple(d[key].shape[1:]) for key in self.key_iterator(d)}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"all keys must have one spatial shape to share crops, got {shapes}; resample first.")
        for number, (key, mode) in enumerate(self.key_iterator(d, self.mode)):
            for name, views in zip(self.names, self.multi_crop(d[key], mode, randomize=number == 0), strict=True):
                d[f"{key}_{name}"] = views
        return d


RandMultiCropD = RandMultiCropDict = RandMultiCropd
