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

"""The batched augmentation as MONAI transforms of single images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor
from torch import Tensor

from monai_lamps.transforms.photometric import PhotometricAugment
from monai_lamps.transforms.resample import as_image

__all__ = ["RandPhotometric", "RandPhotometricD", "RandPhotometricDict", "RandPhotometricd"]


class RandPhotometric(RandomizableTransform):
    """Brightness and contrast, blur, elastic deformation of one image, see :py:class:`PhotometricAugment`.

    Args:
        cell: side of a cell, px.
        prob: probability to augment at all.
        options: further arguments of :py:class:`PhotometricAugment`.

    Attributes:
        key: the last key drawn; the same key augments an image of the same shape in the same way.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, cell: int, prob: float = 1.0, **options: Any) -> None:
        RandomizableTransform.__init__(self, prob)
        self.augment = PhotometricAugment(cell, **options)
        self.key: int | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw whether to augment, and a key."""
        super().randomize(None)
        self.key = int(self.R.randint(0, 2**63 - 1, dtype=np.int64))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> Tensor:
        """Augment one image.

        Args:
            img: (C, *spatial) in [0, 1], 2-D or 3-D.
            randomize: draw anew; False repeats the last draw.

        Returns:
            A float32 tensor of the same shape in [0, 1] (a MetaTensor if the image is one and tracking is on).

        Raises:
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        if randomize:
            self.randomize()
        if self.key is None:
            raise RuntimeError("no key has been drawn yet; call randomize() before randomize=False.")
        out: Tensor = convert_to_tensor(img, dtype=torch.float32, track_meta=get_track_meta())
        plain = as_image(img)
        if not self._do_transform:
            return out
        key = torch.tensor([self.key], dtype=torch.int64, device=plain.device)
        augmented: Tensor = convert_to_dst_type(self.augment(plain[None], key)[0], out)[0]
        return augmented


class RandPhotometricd(RandomizableTransform, MapTransform):
    """Dictionary form of :py:class:`RandPhotometric`: all keys get the same augmentation.

    Keys of one spatial shape are deformed alike; brightness and blur are shared whatever the shapes.

    Args:
        keys: images in [0, 1] to augment.
        cell, prob, options: see :py:class:`RandPhotometric`.
        allow_missing_keys: skip keys that are absent.
    """

    backend = RandPhotometric.backend

    def __init__(
        self, keys: KeysCollection, cell: int, prob: float = 1.0, allow_missing_keys: bool = False, **options: Any
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)  # the array transform draws whether to augment
        self.photometric = RandPhotometric(cell, prob, **options)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandPhotometricd:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.photometric.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Augment each key's image (C, *spatial)."""
        d = dict(data)
        self.photometric.randomize()
        for key in self.key_iterator(d):
            d[key] = self.photometric(d[key], randomize=False)
        return d


RandPhotometricD = RandPhotometricDict = RandPhotometricd
