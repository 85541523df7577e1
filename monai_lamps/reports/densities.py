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

from collections.abc import Mapping

import numpy.typing as npt
from PIL import Image

from monai_lamps.metrics.anatomy import Density, gaussian_density

from .pen import COLOURS, Pen, new_picture, ticks

__all__ = ["draw_densities"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _LINE = 460, 240, 20, 30, 20


def draw_densities(
    title: str, curves: Mapping[str, npt.ArrayLike], controls: Mapping[str, npt.ArrayLike] | None = None
) -> Image.Image:
    """Densities of several samples over one axis, each scaled to the height of the plot.

    Args:
        title: what the axis shows.
        curves: for each name its values (n,), at least one of them; drawn as lines.
        controls: of as many as wanted under the same names, drawn dashed in the colour of the curve.

    Returns:
        the picture.
    """
    dashed = {name: gaussian_density(values) for name, values in (controls or {}).items()}
    drawn = {name: gaussian_density(values) for name, values in curves.items()}
    both = [*drawn.values(), *dashed.values()]
    marks = ticks(min(float(each.at[0]) for each in both), max(float(each.at[-1]) for each in both))
    picture, bottom = new_picture(_WIDTH, _TOP + _HEIGHT + 30 + _LINE * len(curves)), _TOP + _HEIGHT
    pen = Pen(picture)
    pen.text(_LEFT, _TOP - 10, title)
    for mark in marks:
        pen.line([(_place(mark, marks), _TOP), (_place(mark, marks), bottom)], "#DDDDDD")
        pen.text(_place(mark, marks), bottom + 6, f"{mark:.4g}", "mt")
    pen.line([(_LEFT, bottom), (_WIDTH - _LEFT, bottom)])
    for number, name in enumerate(curves):
        colour, y = COLOURS[number % len(COLOURS)], bottom + 38 + _LINE * number
        if name in dashed:
            pen.dashes(_outline(dashed[name], marks), colour, 1.5)
        pen.line(_outline(drawn[name], marks), colour, 1.5)
        pen.line([(_LEFT, y), (_LEFT + 24, y)], colour, 1.5)
        pen.text(_LEFT + 32, y, name + (" (dashed: control)" if name in dashed else ""), "lm")
    return picture


def _place(x: float, marks: list[float]) -> float:
    return _LEFT + (x - marks[0]) / (marks[-1] - marks[0]) * (_WIDTH - 2 * _LEFT)


def _outline(found: Density, marks: list[float]) -> list[tuple[float, float]]:
    scale = (_HEIGHT - 8) / float(found.height.max())
    pairs = zip(found.at.tolist(), found.height.tolist())
    return [(_place(x, marks), _TOP + _HEIGHT - height * scale) for x, height in pairs]
