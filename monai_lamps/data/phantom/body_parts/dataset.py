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
"""The built-in data set of several organs: drawn radiographs of body parts, drawn anew at every access."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import Dataset
from monai.transforms import apply_transform

from monai_lamps.data.phantom.body_parts.drawing import BODY_PARTS, check_part, draw_body_part
from monai_lamps.data.phantom.drawing import check_drawing

__all__ = ["BodyPartPhantom"]


class BodyPartPhantom(Dataset):
    """Procedurally drawn radiographs of body parts, for runs and tests of what learns from several organs.

    Hand, knee, spine, pelvis, foot and jaw are drawn here, the chest is that of
    :class:`~monai_lamps.data.phantom.ThoraxPhantom`. Image ``i`` shows ``parts[i % len(parts)]`` and is a function of
    (``seed``, ``i``) alone: the same in every process and order and, but for the pixel noise, at every size. Bones lie
    where they lie in a patient, with less detail than in the thorax; what an encoder learns from them says nothing
    about real patients.

    An item is a dictionary:

    - ``"image"``: (1, size, size) float32 tensor in [0, 1], 0 dark (air), 1 bright, rows downwards.
    - ``"index"``: int.
    - ``"organ"``: name of the part; ``"laterality"``: ``"L"``, ``"R"``, or ``""`` where the image shows both sides;
      ``"view"``: as in DICOM's View Position.

    Args:
        parts: one name, or several of :data:`BODY_PARTS`.
        length: number of images, at least 1.
        size: image side in pixels, at least 32.
        seed: number of the series, at least 0; another seed gives other patients.
        transform: applied to each item (a MONAI dictionary transform or any callable on the dictionary).

    Raises:
        TypeError: when ``length``, ``size`` or ``seed`` is not an integer, or ``transform`` is not callable.
        ValueError: when a part is unknown, or a number is out of its range.

    Example:
        >>> item = BodyPartPhantom(["hand", "knee"], length=8, size=64)[3]
        >>> item["image"].shape, item["organ"]
        (torch.Size([1, 64, 64]), 'knee')
    """

    def __init__(
        self,
        parts: str | Sequence[str] = BODY_PARTS,
        length: int = 256,
        size: int = 256,
        seed: int = 0,
        transform: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        if isinstance(length, bool) or not isinstance(length, (int, np.integer)):
            raise TypeError(f"length must be an integer, got {length!r} of type {type(length).__name__}.")
        if length < 1:
            raise ValueError(f"length must be at least 1 image, got {length}.")
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be callable or None, got {transform!r} ({type(transform).__name__}).")
        self.parts = (parts,) if isinstance(parts, str) else tuple(parts)
        if not self.parts:
            raise ValueError(f"parts got none, expected some of {', '.join(BODY_PARTS)}.")
        for part in self.parts:
            check_part(part)
        check_drawing(size, seed, 0.0)
        super().__init__(data=range(int(length)), transform=transform)
        self.size = int(size)
        self.seed = int(seed)

    def _transform(self, index: int) -> Any:
        item = self.draw(self.data[index])
        return item if self.transform is None else apply_transform(self.transform, item)

    def draw(self, index: int) -> dict[str, Any]:
        """Draw one item, untransformed.

        Args:
            index: number of the image, at least 0; may exceed the length of the data set.

        Raises:
            ValueError: when ``index`` is negative.
        """
        index = int(index)
        drawing = draw_body_part(self.parts[index % len(self.parts)], index, self.size, self.seed)
        return {
            "image": torch.from_numpy(drawing.image),
            "index": index,
            "organ": drawing.part,
            "laterality": drawing.laterality,
            "view": drawing.view,
        }
