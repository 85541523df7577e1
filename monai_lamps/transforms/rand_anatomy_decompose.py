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

"""One random part of an image: what Adam learns from at each granularity."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends
from torch import Tensor

from monai_lamps.transforms.anatomy_decompose import channel_first, check_level, crop_part, decomposition_boxes
from monai_lamps.transforms.reseeded import Reseeded

__all__ = [
    "RandAnatomyDecompose",
    "RandAnatomyDecomposeD",
    "RandAnatomyDecomposeDict",
    "RandAnatomyDecomposed",
]


class RandAnatomyDecompose(Reseeded, Transform):
    """Draw one of the ``2**level`` parts of an image, all equally likely (Adam, arXiv 2309.15358, section 2.1).

    Args:
        level: granularity n, >= 0 (0 gives the whole image).

    Attributes:
        level: may be set between two calls (coarse to fine); the next draw uses it.
        part: (level, index) of the last part drawn, as :py:class:`AnatomyPart` counts them.
        box: (n, 2) int64, the box of the last part that was cut, px of its image.

    Raises:
        ValueError: for a negative level.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, level: int) -> None:
        self.level = check_level(level)
        self.part: tuple[int, int] | None = None
        self.box: Tensor | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw the index of a part of the present level."""
        level = check_level(self.level)
        self.part = level, int(self.R.randint(2**level))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> Tensor:
        """Cut one part out.

        Args:
            img: (C, *spatial), any number of spatial axes.
            randomize: draw a new part; False takes the last one again, in an image of any shape.

        Returns:
            (C, *part) of the image's type, a slice that shares its memory; a part of a MetaTensor has its own affine.

        Raises:
            ValueError: when there is no spatial axis or a side is too short for the level.
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        data = channel_first(img)
        if randomize:
            self.randomize()
        if self.part is None:
            raise RuntimeError("no part has been drawn yet; call randomize() before randomize=False.")
        level, index = self.part
        box = decomposition_boxes(data.shape[1:], level)[index]
        self.box = torch.from_numpy(box.copy())
        return crop_part(data, box)


class RandAnatomyDecomposed(Reseeded, MapTransform):
    """Dictionary form of :py:class:`RandAnatomyDecompose`: replaces each key by the same part.

    Writes the part's box, ``{key}_{postfix}`` (n, 2) int64, px, for each key.

    Args:
        keys: images to cut. They may differ in shape: the part is then the same share of each.
        level: see :py:class:`RandAnatomyDecompose`.
        postfix: between the key and the name that the box is written to.
        allow_missing_keys: skip keys that are absent.
    """

    backend = RandAnatomyDecompose.backend

    def __init__(
        self, keys: KeysCollection, level: int, postfix: str = "part_box", allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.decompose = RandAnatomyDecompose(level)
        self.postfix = postfix

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandAnatomyDecomposed:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.decompose.set_random_state(state=self.R)  # only one of them draws, and seeding costs time
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Replace each key's image (C, *spatial) by its part (C, *part), and add the boxes."""
        d = dict(data)
        for number, key in enumerate(self.key_iterator(d)):
            d[key] = self.decompose(d[key], randomize=number == 0)
            assert self.decompose.box is not None
            d[f"{key}_{self.postfix}"] = self.decompose.box
        return d


RandAnatomyDecomposeD = RandAnatomyDecomposeDict = RandAnatomyDecomposed
