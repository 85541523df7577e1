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

from PIL import Image

from .pen import COLOURS, Pen, new_picture, ticks
from .table import Entry

__all__ = ["draw_intervals"]

_NAME, _PLOT, _RIGHT, _TOP, _LINE, _AXIS = 130, 300, 20, 30, 22, 30


def draw_intervals(table: Mapping[str, Mapping[str, Entry]]) -> Image.Image:
    """Figures of several encoders as dots with their intervals, a panel for each figure below each other.

    Args:
        table: for each figure the entry of each encoder; entries without a value are left out.

    Returns:
        the picture.
    """
    encoders = list(dict.fromkeys(name for entries in table.values() for name in entries))
    height = _TOP + _LINE * len(encoders) + _AXIS
    picture = new_picture(_NAME + _PLOT + _RIGHT, height * max(1, len(table)))
    pen = Pen(picture)
    for panel, (figure, entries) in enumerate(table.items()):
        _panel(pen, panel * height, figure, {name: entries.get(name, Entry()) for name in encoders})
    return picture


def _panel(pen: Pen, top: float, figure: str, entries: Mapping[str, Entry]) -> None:
    known = [
        value for entry in entries.values() for value in (entry.value, entry.lower, entry.upper) if value is not None
    ]
    marks = ticks(min(known), max(known)) if known else [0.0, 1.0]
    bottom = top + _TOP + _LINE * len(entries)

    def place(value: float) -> float:
        return _NAME + (value - marks[0]) / (marks[-1] - marks[0]) * _PLOT

    pen.text(_NAME, top + _TOP - 8, figure)
    for mark in marks:
        pen.line([(place(mark), top + _TOP), (place(mark), bottom)], "#DDDDDD")
        pen.text(place(mark), bottom + 4, f"{mark:.4g}", "mt")
    for number, (name, entry) in enumerate(entries.items()):
        y, colour = top + _TOP + _LINE * (number + 0.5), COLOURS[number % len(COLOURS)]
        pen.text(_NAME - 8, y, name[:18], "rm")
        if entry.lower is not None and entry.upper is not None:
            pen.line([(place(entry.lower), y), (place(entry.upper), y)], colour, 2)
        if entry.value is not None:
            pen.dot(place(entry.value), y, 4, colour)
