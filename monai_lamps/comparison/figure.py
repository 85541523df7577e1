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
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont

from .cells import Cell
from .plan import Plan
from .readings import less_is_better

__all__ = ["draw"]

#: colours that differ for the colour-blind, too (Okabe and Ito)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SCALE = 2  # px of the picture for one of these units
_PANEL, _PLOT = (420, 330), (62, 34, 404, 286)  # size, and its plot: left, top, right, bottom
_COLUMNS = 3
_LINE = 20
_TICKS = 5
_SPREAD = 0.7  # share of a column that the initialisations take

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
#: from a value to where it is drawn
Height = Callable[[float], float]


def draw(plan: Plan, table: Sequence[Cell]) -> Image.Image:
    """The comparison as a picture: a panel for each figure, the amount of training images from left to right.

    A line joins the means of an initialisation, bars show one standard deviation, small dots the single runs.

    Args:
        plan: what is compared.
        table: from :func:`~monai_lamps.comparison.cells.cells`.
    """
    columns = min(_COLUMNS, len(plan.figures))
    rows = math.ceil(len(plan.figures) / columns)
    size = (columns * _PANEL[0], rows * _PANEL[1] + _LINE * (len(plan.encoders) + 1))
    image = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), "white")
    pen = _Pen(ImageDraw.Draw(image), ImageFont.load_default(13 * _SCALE))
    for number, figure in enumerate(plan.figures):
        row, column = divmod(number, columns)
        own = [cell for cell in table if cell.figure == figure]
        _panel(pen.moved(column * _PANEL[0], row * _PANEL[1]), plan, figure, own)
    _legend(pen.moved(0, rows * _PANEL[1]), plan)
    return image


class _Pen:
    """Draws in units of the panel, from an origin."""

    def __init__(self, canvas: ImageDraw.ImageDraw, font: Font, x: float = 0, y: float = 0) -> None:
        self.canvas, self.font, self.x, self.y = canvas, font, x, y

    def moved(self, x: float, y: float) -> _Pen:
        return _Pen(self.canvas, self.font, x, y)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        self.canvas.line([self._at(*point) for point in points], fill=colour, width=round(width * _SCALE))

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        (left, top), (right, bottom) = self._at(x - radius, y - radius), self._at(x + radius, y + radius)
        self.canvas.ellipse((left, top, right, bottom), fill=colour)

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.canvas.text(self._at(x, y), text, fill="black", font=self.font, anchor=anchor)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (self.x + x) * _SCALE, (self.y + y) * _SCALE


def _panel(pen: _Pen, plan: Plan, figure: str, table: Sequence[Cell]) -> None:
    left, top, right, bottom = _PLOT
    ticks = _ticks(table)
    step = (right - left) / len(plan.amounts)

    def height(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - top)

    better = "less" if less_is_better(figure) else "more"
    pen.text(left, top - 9, f"{figure} ({better} is better)", "ls")
    for tick in ticks:
        pen.line([(left, height(tick)), (right, height(tick))], "#DDDDDD")
        pen.text(left - 6, height(tick), f"{tick:.6g}", "rm")
    for number, amount in enumerate(plan.amounts):
        pen.text(left + (number + 0.5) * step, bottom + 6, amount.label, "mt")
    pen.text((left + right) / 2, bottom + 24, "training images", "mt")
    pen.line([(left, top), (left, bottom), (right, bottom)], "black")
    for turn, encoder in enumerate(plan.encoders):
        gap = _SPREAD / len(plan.encoders)  # the initialisations lie beside each other
        shift = 0.5 - _SPREAD / 2 + (turn + 0.4) * gap
        places = {amount: left + (number + shift) * step for number, amount in enumerate(plan.amounts)}
        own = [cell for cell in table if cell.encoder == encoder]
        _series(pen, [(places[cell.amount], cell) for cell in own], height, gap * step, _COLOURS[turn % len(_COLOURS)])


def _series(pen: _Pen, placed: Sequence[tuple[float, Cell]], height: Height, gap: float, colour: str) -> None:
    means = []
    for x, cell in placed:
        if cell.mean is None:
            continue
        means.append((x, height(cell.mean)))
        pen.dot(*means[-1], 4, colour)
        if cell.sd is not None:
            low, high = height(cell.mean - cell.sd), height(cell.mean + cell.sd)
            pen.line([(x, low), (x, high)], colour, 1.5)
            for end in (low, high):
                pen.line([(x - 4, end), (x + 4, end)], colour, 1.5)
        for value in cell.values.values():
            pen.dot(x + min(9, gap / 2), height(value), 1.5, colour)
    if len(means) > 1:
        pen.line(means, colour, 1.5)


def _legend(pen: _Pen, plan: Plan) -> None:
    for number, encoder in enumerate(plan.encoders):
        y = _LINE * (number + 0.5)
        colour = _COLOURS[number % len(_COLOURS)]
        pen.line([(_PLOT[0], y), (_PLOT[0] + 24, y)], colour, 1.5)
        pen.dot(_PLOT[0] + 12, y, 4, colour)
        pen.text(_PLOT[0] + 32, y, encoder, "lm")


def _ticks(table: Sequence[Cell]) -> list[float]:
    """Round numbers around all that is drawn."""
    ends = [cell.mean + sign * (cell.sd or 0) for cell in table if cell.mean is not None for sign in (-1, 1)]
    values = [*ends, *(value for cell in table for value in cell.values.values())] or [0.0, 1.0]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    rough = (high - low) / (_TICKS - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.floor(low / step)
    return [step * number for number in range(first, math.ceil(high / step) + 1)]
