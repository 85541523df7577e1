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
"""Curves in the unit square, drawn into tensors with Pillow."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from monai_lamps.tasks.overlay import plain_text

__all__ = ["draw_curves"]

_LINE = 12  # px a line of text
_MARGIN = 30
_LEGEND = 190


def draw_curves(
    curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    x_label: str,
    y_label: str,
    legend: str = "",
    side: int = 320,
) -> Tensor:
    """Curves from 0 to 1 on both axes with the diagonal, ticks, labels and a legend.

    Args:
        curves: x and y of each curve by the text of its legend, both (n,), in [0, 1]; points with a NaN are left out.
        x_label: what the horizontal axis is.
        y_label: what the vertical axis is.
        legend: what the numbers in the legend are.
        side: side of the square, px.

    Returns:
        (3, H, W), float in [0, 1]: the square with its margins and the legend on its right.

    Raises:
        ValueError: when a curve leaves the unit square.
    """
    height = max(side + 2 * _MARGIN, _LINE * (len(curves) + 3))
    image = Image.new("RGB", (side + 2 * _MARGIN + _LEGEND, height), (255, 255, 255))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    _axes(draw, font, side, x_label, y_label)
    left = side + _MARGIN + 12
    draw.text((left, _MARGIN), plain_text(legend), fill=(0, 0, 0), font=font)
    for number, (name, (x, y)) in enumerate(curves.items()):
        shade = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(number / len(curves), 0.85, 0.75))
        points = _points(name, x, y, side)
        draw.line(points, fill=shade, width=2)
        for column, row in points if len(points) <= 20 else ():
            draw.ellipse((column - 2, row - 2, column + 2, row + 2), fill=shade)
        top = _MARGIN + _LINE * (number + 1)
        draw.line([(left, top + 6), (left + 12, top + 6)], fill=shade, width=3)
        draw.text((left + 16, top), plain_text(name), fill=(0, 0, 0), font=font)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _axes(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, side: int, x: str, y: str
) -> None:
    grey, black, end = (200, 200, 200), (0, 0, 0), _MARGIN + side
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        place = round(tick * side)
        draw.line([(_MARGIN + place, _MARGIN), (_MARGIN + place, end)], fill=grey)
        draw.line([(_MARGIN, end - place), (end, end - place)], fill=grey)
        draw.text((_MARGIN + place - 8, end + 3), f"{tick:g}", fill=black, font=font)
        draw.text((2, end - place - 6), f"{tick:g}", fill=black, font=font)
    draw.line([(_MARGIN, end), (end, _MARGIN)], fill=(150, 150, 150))
    draw.rectangle((_MARGIN, _MARGIN, end, end), outline=black)
    draw.text((_MARGIN, end + 3 + _LINE), plain_text(x), fill=black, font=font)
    draw.text((_MARGIN, _MARGIN - 3 - _LINE), plain_text(y), fill=black, font=font)


def _points(name: str, x: npt.ArrayLike, y: npt.ArrayLike, side: int) -> list[tuple[float, float]]:
    points = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)], axis=1)
    points = points[~np.isnan(points).any(axis=1)]
    if points.size and not (points.min() >= 0 and points.max() <= 1):
        raise ValueError(f"the curve '{name}' must lie in [0, 1], got [{points.min():.4g}, {points.max():.4g}].")
    return [(_MARGIN + side * float(a), _MARGIN + side * (1 - float(b))) for a, b in points]
