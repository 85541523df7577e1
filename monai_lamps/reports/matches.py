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

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

__all__ = ["as_picture", "draw_matches"]

_GOOD, _BAD, _GAP = "#00B050", "#E03030", 6


def draw_matches(
    first: Tensor, second: Tensor, points: Tensor, found: Tensor, good: Sequence[bool], size: int = 320
) -> Image.Image:
    """Two radiographs side by side, and lines from points of the first to where they were found in the second.

    Args:
        first: (1, H, W) float in [0, 1].
        second: likewise.
        points: (N, 2) positions (row, column) in shares of the side, in the first.
        found: (N, 2) likewise, in the second.
        good: whether each was found where it is: green, else red.
        size: side of each radiograph in the picture, px.

    Returns:
        the picture.
    """
    picture = Image.new("RGB", (2 * size + _GAP, size), "white")
    for number, image in enumerate((first, second)):
        grey = Image.fromarray((image[0].clamp(0, 1) * 255).round().numpy().astype(np.uint8))
        picture.paste(grey.resize((size, size), Image.Resampling.BILINEAR).convert("RGB"), (number * (size + _GAP), 0))
    canvas = ImageDraw.Draw(picture)
    for start, end, right in zip(points.tolist(), found.tolist(), good):
        colour = _GOOD if right else _BAD
        a = (start[1] * size, start[0] * size)
        b = (end[1] * size + size + _GAP, end[0] * size)
        canvas.line((*a, *b), fill=colour, width=1)
        for x, y in (a, b):
            canvas.ellipse((x - 3, y - 3, x + 3, y + 3), outline=colour, width=2)
    return picture


def as_picture(image: Tensor) -> Image.Image:
    """A picture (3, H, W), float in [0, 1], as one of Pillow."""
    return Image.fromarray((image.clamp(0, 1) * 255).round().permute(1, 2, 0).cpu().numpy().astype(np.uint8))
