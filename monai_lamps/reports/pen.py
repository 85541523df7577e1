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

import math
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

__all__ = ["COLOURS", "Pen", "new_picture", "ticks"]

#: colours that differ for the colour-blind, too (Okabe and Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SCALE = 2  # px of the picture for one of the pen's units
_FONT = 13


class Pen:
    """Draws lines, dots and text on a picture, in units of two pixels.

    Args:
        picture: an RGB image.
        x, y: where the pen's own origin lies in it.
    """

    def __init__(self, picture: Image.Image, x: float = 0, y: float = 0) -> None:
        self._picture, self._x, self._y = picture, x, y
        self._canvas = ImageDraw.Draw(picture)
        self._font = ImageFont.load_default(_FONT * _SCALE)

    def moved(self, x: float, y: float) -> Pen:
        """A pen whose origin lies at ``(x, y)`` of this one's."""
        return Pen(self._picture, self._x + x, self._y + y)

    def line(self, points: Sequence[tuple[float, float]], colour: str = "black", width: float = 1) -> None:
        """Join points ``(x, y)``."""
        self._canvas.line([self._at(x, y) for x, y in points], fill=colour, width=round(width * _SCALE))

    def dashes(self, points: Sequence[tuple[float, float]], colour: str = "black", width: float = 1) -> None:
        """Join every second pair of neighbours, of which there should be many."""
        for pair in list(pairwise(points))[::2]:
            self.line(pair, colour, width)

    def dot(self, x: float, y: float, radius: float = 3, colour: str = "black") -> None:
        """A filled circle."""
        self._canvas.ellipse([self._at(x - radius, y - radius), self._at(x + radius, y + radius)], fill=colour)

    def text(self, x: float, y: float, text: str, anchor: str = "ls") -> None:
        """A line of text; ``anchor`` as in Pillow (``ls`` left and baseline, ``mt`` middle and top, ...)."""
        plain = text.encode("latin-1", "replace").decode("latin-1")
        self._canvas.text(self._at(x, y), plain, fill="black", font=self._font, anchor=anchor)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the pen's lies in the picture, px."""
        return (self._x + x) * _SCALE, (self._y + y) * _SCALE


def new_picture(width: float, height: float) -> Image.Image:
    """A white picture of this size in the pen's units."""
    return Image.new("RGB", (math.ceil(width * _SCALE), math.ceil(height * _SCALE)), "white")


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that enclose a range, about ``count`` steps of 1, 2 or 5 times a power of ten."""
    if high - low <= max(1e-8 * max(abs(low), abs(high)), 1e-300):  # all one value, as far as can be drawn
        low, high = low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]
