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

from PIL import Image

from monai_lamps.reports.pen import COLOURS, Pen, new_picture, ticks

from .cells import Cell
from .plan import Plan
from .readings import less_is_better

__all__ = ["draw"]

_PANEL, _PLOT = (420, 330), (62, 34, 404, 286)  # size, and its plot: left, top, right, bottom
_COLUMNS = 3
_LINE = 20
_SPREAD = 0.7  # share of a column that the initialisations take

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
    picture = new_picture(columns * _PANEL[0], rows * _PANEL[1] + _LINE * (len(plan.encoders) + 1))
    pen = Pen(picture)
    for number, figure in enumerate(plan.figures):
        row, column = divmod(number, columns)
        own = [cell for cell in table if cell.figure == figure]
        _panel(pen.moved(column * _PANEL[0], row * _PANEL[1]), plan, figure, own)
    _legend(pen.moved(0, rows * _PANEL[1]), plan)
    return picture


def _panel(pen: Pen, plan: Plan, figure: str, table: Sequence[Cell]) -> None:
    left, top, right, bottom = _PLOT
    marks = _ticks(table)
    step = (right - left) / len(plan.amounts)

    def height(value: float) -> float:
        return bottom - (value - marks[0]) / (marks[-1] - marks[0]) * (bottom - top)

    better = "less" if less_is_better(figure) else "more"
    pen.text(left, top - 9, f"{figure} ({better} is better)", "ls")
    for mark in marks:
        pen.line([(left, height(mark)), (right, height(mark))], "#DDDDDD")
        pen.text(left - 6, height(mark), f"{mark:.6g}", "rm")
    for number, amount in enumerate(plan.amounts):
        pen.text(left + (number + 0.5) * step, bottom + 6, amount.label, "mt")
    pen.text((left + right) / 2, bottom + 24, "training images", "mt")
    pen.line([(left, top), (left, bottom), (right, bottom)], "black")
    for turn, encoder in enumerate(plan.encoders):
        gap = _SPREAD / len(plan.encoders)  # the initialisations lie beside each other
        shift = 0.5 - _SPREAD / 2 + (turn + 0.4) * gap
        places = {amount: left + (number + shift) * step for number, amount in enumerate(plan.amounts)}
        own = [cell for cell in table if cell.encoder == encoder]
        _series(pen, [(places[cell.amount], cell) for cell in own], height, gap * step, COLOURS[turn % len(COLOURS)])


def _series(pen: Pen, placed: Sequence[tuple[float, Cell]], height: Height, gap: float, colour: str) -> None:
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


def _legend(pen: Pen, plan: Plan) -> None:
    for number, encoder in enumerate(plan.encoders):
        y = _LINE * (number + 0.5)
        colour = COLOURS[number % len(COLOURS)]
        pen.line([(_PLOT[0], y), (_PLOT[0] + 24, y)], colour, 1.5)
        pen.dot(_PLOT[0] + 12, y, 4, colour)
        pen.text(_PLOT[0] + 32, y, encoder, "lm")


def _ticks(table: Sequence[Cell]) -> list[float]:
    """Round numbers around all that is drawn."""
    ends = [cell.mean + sign * (cell.sd or 0) for cell in table if cell.mean is not None for sign in (-1, 1)]
    values = [*ends, *(value for cell in table for value in cell.values.values())] or [0.0, 1.0]
    return ticks(min(values), max(values))
