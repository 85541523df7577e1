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

"""The built-in data set: drawn chest radiographs, drawn anew at every access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.data import Dataset
from monai.transforms import apply_transform

from monai_lamps.data.phantom.annotations import STRUCTURES
from monai_lamps.data.phantom.drawing import check_drawing, draw_annotated_thorax, draw_thorax

__all__ = ["ThoraxPhantom"]


class ThoraxPhantom(Dataset):
    """Procedurally drawn, anatomically arranged frontal chest radiographs, for runs and tests without patient data.

    Lungs, heart, mediastinum, airways, vessels, ribs, spine, clavicles, scapulae, diaphragm and gas lie where they lie
    in a patient; build, pose, breath, exposure, noise and texture vary from image to image. Image ``i`` is a function
    of (``seed``, ``i``) alone: the same in every process, in every order and, but for the pixel noise, at every size.
    It is 2-D. It stands in for the chest radiographs that Lamps (arXiv 2512.22872) pretrains on; what an encoder learns
    from it says nothing about real patients.

    An item is a dictionary:

    - ``"image"``: (1, size, size) float32 tensor in [0, 1], 0 dark (air), 1 bright, rows downwards. The patient's right
      is on the left of the image, the apex of the heart points to its right.
    - ``"index"``: int.

    and with ``annotations=True`` also

    - ``"masks"``: (S, size, size) uint8 tensor (0 or 1) in the order of :attr:`structures`; masks may overlap.
    - ``"landmarks"``: name to (k, 2) float32 tensor of (row, column) in pixels, whole numbers at pixel centres; names
      and numbers are in ``LANDMARKS``. They may lie outside the image.
    - ``"opacity_mask"``: (1, size, size) uint8 tensor.
    - ``"opacity_boxes"``: (3, 4) float32 tensor (lowest row, lowest column, highest row, highest column), inclusive,
      rows of zeros where there are fewer than three opacities.

    Args:
        length: number of images, at least 1.
        size: image side in pixels, at least 32.
        seed: number of the series, at least 0; another seed gives other patients.
        opacities: probability in [0, 1] that an image shows one to three lung opacities.
        transform: applied to each item (a MONAI dictionary transform or any callable on the dictionary).
        annotations: whether items carry masks and landmarks.

    Raises:
        TypeError: when ``length``, ``size`` or ``seed`` is not an integer, or ``transform`` is not callable.
        ValueError: when ``length`` < 1, ``size`` < 32, ``seed`` < 0 or ``opacities`` is outside [0, 1].

    Example:
        >>> from monai_lamps.data.phantom import ThoraxPhantom
        >>> item = ThoraxPhantom(length=8, size=64, annotations=True)[3]
        >>> item["image"].shape, item["masks"].shape
        (torch.Size([1, 64, 64]), torch.Size([8, 64, 64]))
    """

    structures: tuple[str, ...] = STRUCTURES

    def __init__(
        self,
        length: int = 256,
        size: int = 256,
        seed: int = 0,
        opacities: float = 0.0,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        annotations: bool = False,
    ) -> None:
        if isinstance(length, bool) or not isinstance(length, (int, np.integer)):
            raise TypeError(f"length must be an integer, got {length!r} of type {type(length).__name__}.")
        if length < 1:
            raise ValueError(f"length must be at least 1 image, got {length}.")
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be callable or None, got {transform!r} ({type(transform).__name__}).")
        check_drawing(size, seed, opacities)
        super().__init__(data=range(int(length)), transform=transform)
        self.size = int(size)
        self.seed = int(seed)
        self.opacities = float(opacities)
        self.annotations = annotations

    def _transform(self, index: int) -> Any:
        item = self.draw(self.data[index])
        return item if self.transform is None else apply_transform(self.transform, item)

    def draw(self, index: int) -> dict[str, Any]:
        """Draw one item, untransformed.

        Args:
            index: number of the image, at least 0; may exceed the length of the data set.

        Returns:
            The dictionary described above.

        Raises:
            ValueError: when ``index`` is negative.
        """
        index = int(index)
        if not self.annotations:
            image = draw_thorax(index, self.size, self.seed, self.opacities)
            return {"image": torch.from_numpy(image), "index": index}
        drawing = draw_annotated_thorax(index, self.size, self.seed, self.opacities)
        return {
            "image": torch.from_numpy(drawing.image),
            "index": index,
            "masks": torch.from_numpy(drawing.masks.astype(np.uint8)),
            "landmarks": {name: torch.from_numpy(points) for name, points in drawing.landmarks.items()},
            "opacity_mask": torch.from_numpy(drawing.opacity_mask.astype(np.uint8)),
            "opacity_boxes": torch.from_numpy(drawing.opacity_boxes),
        }
