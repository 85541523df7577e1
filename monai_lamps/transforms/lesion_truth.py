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
"""Synthetic lesions as the truth that explanations are judged by."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from monai_lamps.transforms.synthetic_lesion import RandSyntheticLesion

__all__ = ["RandLesionTruthD", "RandLesionTruthDict", "RandLesionTruthd"]


class RandLesionTruthd(Randomizable, MapTransform):
    """Put synthetic lesions on the images that ask for them, and say where they are.

    Args:
        keys: where the mask goes, one key, usually "mask".
        image_key: key of the loaded image, (1, H, W) float in [0, 1].
        lesioned_key: entry that says whether the image gets lesions; it is taken out of the item.
        annotated_key: where ``annotated`` (1,) bool goes, always True.
        options: of :class:`~monai_lamps.transforms.RandSyntheticLesion`, such as ``kinds``, ``count`` and ``size``.

    Returns of a call:
        the item with its image, ``keys[0]`` (1, H, W) float32 in [0, 1], the opacity of the lesions, and
        ``annotated_key``.

    Raises:
        ValueError: when several keys are given, or an option is out of its range.
    """

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        lesioned_key: str = "lesioned",
        annotated_key: str = "annotated",
        **options: Any,
    ) -> None:
        MapTransform.__init__(self, keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys must be one key, where the mask goes, got {self.keys}; e.g. 'mask'.")
        self.image_key, self.lesioned_key, self.annotated_key = image_key, lesioned_key, annotated_key
        self.lesion = RandSyntheticLesion(**options)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandLesionTruthd:
        """Seed the lesions."""
        super().set_random_state(seed, state)
        self.lesion.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Put lesions on one image, or leave it as it is."""
        d = {key: value for key, value in data.items() if key != self.lesioned_key}
        if data[self.lesioned_key]:
            made = self.lesion(d[self.image_key])
            d[self.image_key], mask = made.lesioned, made.mask
        else:
            mask = torch.zeros(1, *d[self.image_key].shape[1:])
        return {**d, self.keys[0]: mask, self.annotated_key: torch.tensor([True])}


RandLesionTruthD = RandLesionTruthDict = RandLesionTruthd
