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

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["Entry", "csv_table", "entry_text", "markdown_table"]

#: for each figure the entry of each encoder
Table = Mapping[str, Mapping[str, "Entry"]]


@dataclass(frozen=True)
class Entry:
    """A figure with its interval, and its difference from the reference with the interval of that.

    What is not known or not defined is None.
    """

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        low, high = self.difference_lower, self.difference_upper
        return low is not None and high is not None and (low > 0 or high < 0)


def entry_text(entry: Entry) -> str:
    """``0.53 [0.50, 0.56] *``, the star where the difference from the reference leaves 0 out."""
    if entry.value is None:
        return "-"
    interval = ""
    if entry.lower is not None and entry.upper is not None:
        digits = _decimals(entry.upper - entry.lower)
        interval = f" [{entry.lower:.{digits}f}, {entry.upper:.{digits}f}]"
        return f"{entry.value:.{digits}f}{interval}" + (" \\*" if entry.differs else "")
    return f"{entry.value:.3g}"


def markdown_table(table: Table, better: Mapping[str, str]) -> str:
    """A row for each figure, a column for each encoder.

    Args:
        table: the entries.
        better: for each figure ``more``, ``less`` or an empty text.
    """
    encoders = _encoders(table)
    lines = ["| figure | better | " + " | ".join(_plain(name) for name in encoders) + " |"]
    lines.append("| --- " * (len(encoders) + 2) + "|")
    for figure, entries in table.items():
        cells = [entry_text(entries.get(name, Entry())) for name in encoders]
        lines.append(f"| {_plain(figure)} | {better.get(figure, '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def csv_table(table: Table, better: Mapping[str, str], column: str = "encoder") -> str:
    """A row for each figure and encoder, with all six numbers; empty where there is none.

    Args:
        table: the entries.
        better: for each figure ``more``, ``less`` or an empty text.
        column: what is compared, the heading of the names.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["figure", "better", column, *asdict(Entry())])
    for figure, entries in table.items():
        for name, entry in entries.items():
            writer.writerow([figure, better.get(figure, ""), name, *asdict(entry).values()])
    return text.getvalue()


def _encoders(table: Table) -> list[str]:
    return list(dict.fromkeys(name for entries in table.values() for name in entries))


def _decimals(width: float) -> int:
    """So many that the interval's width has two digits, at most six."""
    return 4 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
