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
"""The data transforms of the released Lamps code, written anew from their description, as a baseline for speed.

Nothing here is the authors' code: it follows the published description (arXiv 2512.22872) and the facts of its release,
with the libraries that are used for such transforms: Pillow, OpenCV, albumentations. It needs
``pip install "albumentations<1.4" opencv-python-headless`` (later versions have no ``alpha_affine``).
"""

from __future__ import annotations

import math

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

__all__ = ["ReleasedTransforms"]

CELL, REGION, VIEW, WINDOW = 32, 18, 14, 11  # px; cells
TOKENS = 8  # tokens of patch 4 along a cell
MEAN, STD = 0.5056, 0.252

Picture = npt.NDArray[np.uint8]


class ReleasedTransforms:
    """All tensors that the released loader makes of one radiograph, whatever the epoch's objective is.

    Args:
        seed: of the random numbers; albumentations draws from Python's ``random``, which is left alone.
    """

    def __init__(self, seed: int = 0) -> None:
        cv2.setNumThreads(0)
        self.random = np.random.default_rng(seed)
        self.augment = A.Compose(
            [
                A.RandomBrightnessContrast(p=0.5),
                A.GaussianBlur(blur_limit=(3, 7), p=0.5),
                A.ElasticTransform(alpha=30, sigma=6, alpha_affine=20, p=0.5),
            ]
        )

    def __call__(self, image: Picture) -> dict[str, list[Tensor] | Tensor]:
        """Make the tensors.

        Args:
            image: (H, W) grey, 8 bit.

        Returns:
            ``views`` and ``augmented``: two (3, 448, 448); ``quadrants``: eight (3, 224, 224); ``masks``: two
            (112, 112); ``complements``: two (14, 14); ``overlaps``: two (196,) bool; ``permutation``: (196,).
        """
        region = self._jitter(self._shrink(self._random_crop(Image.fromarray(image).convert("RGB"))))
        offsets = [tuple(int(k) for k in self.random.integers(0, REGION - VIEW + 1, 2)) for _ in range(2)]
        views = [self._cut(region, offset) for offset in offsets]
        windows = [self._context() for _ in views]
        return {
            "views": [_to_tensor(view) for view in views],
            "augmented": [self._augmented(view) for view in views],
            "quadrants": [self._augmented(part) for view in views for part in _quadrants(view)],
            "masks": [torch.from_numpy(visible.repeat(TOKENS, 0).repeat(TOKENS, 1)) for visible in windows],
            "complements": [torch.from_numpy(1 - visible) for visible in windows],
            "overlaps": [_overlap(a, b) for a, b in (offsets, offsets[::-1])],
            "permutation": torch.from_numpy(self.random.permutation(VIEW**2)),
        }

    def _random_crop(self, image: Image.Image) -> Image.Image:
        """A box of 85 to 100 % of the area and an aspect of 3/4 to 4/3, squashed to 1024 x 1024 px (bicubic)."""
        width, height = image.size
        for _ in range(10):
            area = width * height * self.random.uniform(0.85, 1.0)
            aspect = math.exp(self.random.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if w <= width and h <= height:
                break
        else:
            w, h = width, height
        left, top = (int(self.random.integers(0, spare + 1)) for spare in (width - w, height - h))
        return image.crop((left, top, left + w, top + h)).resize((1024, 1024), Image.Resampling.BICUBIC)

    def _shrink(self, image: Image.Image) -> Picture:
        """Short side to 19 cells, and the centre of it."""
        side = (REGION + 1) * CELL
        pixels = np.asarray(image)
        height, width = pixels.shape[:2]
        scale = side / min(height, width)
        pixels = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        return pixels[top : top + side, left : left + side]

    def _jitter(self, pixels: Picture) -> Picture:
        """18 x 18 cells at a random offset below a cell."""
        top, left = (int(k) for k in self.random.integers(0, CELL, 2))
        return pixels[top : top + REGION * CELL, left : left + REGION * CELL]

    def _cut(self, region: Picture, offset: tuple[int, ...]) -> Picture:
        top, left = (CELL * k for k in offset)
        return np.ascontiguousarray(region[top : top + VIEW * CELL, left : left + VIEW * CELL])

    def _context(self) -> npt.NDArray[np.float64]:
        """1 in a square of 11 x 11 visible cells of a view, 0 around it."""
        top, left = self.random.integers(0, VIEW - WINDOW + 1, 2)
        visible = np.zeros((VIEW, VIEW))
        visible[top : top + WINDOW, left : left + WINDOW] = 1
        return visible

    def _augmented(self, pixels: Picture) -> Tensor:
        return _to_tensor(self.augment(image=pixels)["image"])


def _quadrants(view: Picture) -> list[Picture]:
    """Top left, bottom left, top right, bottom right."""
    half = VIEW * CELL // 2
    return [view[top : top + half, left : left + half] for left in (0, half) for top in (0, half)]


def _to_tensor(pixels: Picture) -> Tensor:
    """(H, W, 3) of 8 bit to normalised (3, H, W)."""
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div(255)
    return image.sub_(torch.full((3, 1, 1), MEAN)).div_(torch.full((3, 1, 1), STD))


def _overlap(first: tuple[int, ...], second: tuple[int, ...]) -> Tensor:
    """True for the cells of the first view that the second shows too, (196,)."""
    rows, columns = (np.arange(VIEW) + k for k in first)
    seen = [(along >= k) & (along < k + VIEW) for along, k in zip((rows, columns), second)]
    return torch.from_numpy((seen[0][:, None] & seen[1][None, :]).ravel())
