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
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.atomic import atomic_write

from .carry_out import Outcome
from .cells import Cell, Contrast

__all__ = ["write_cells", "write_runs"]


def write_runs(path: Path, outcomes: Sequence[Outcome], out: Path) -> None:
    """Write a line for each run: what it is, what has become of it, and all its figures.

    Args:
        path: the CSV file.
        outcomes: of all runs.
        out: folder of the comparison, which the runs' folders are given relative to.
    """
    _write(
        path,
        [
            {
                "encoder": found.run.encoder,
                found.run.amount.id: found.run.amount.value,
                "seed": found.run.seed,
                "state": found.state,
                "reason": found.reason,
                "seconds": round(found.seconds, 1),
                "folder": found.run.folder.relative_to(out).as_posix(),
                "settings": json.dumps(dict(found.run.settings)),
                **found.figures,
            }
            for found in outcomes
        ],
    )


def write_cells(path: Path, table: Sequence[Cell], tested: Sequence[Contrast]) -> None:
    """Write a line for each cell of the table, with its test against the baseline.

    Args:
        path: the CSV file.
        table: from :func:`~monai_lamps.comparison.cells.cells`.
        tested: from :func:`~monai_lamps.comparison.cells.contrasts`.
    """
    by_cell = {(each.cell.figure, each.cell.amount, each.cell.encoder): each for each in tested}
    rows = []
    for cell in table:
        row = {
            "figure": cell.figure,
            cell.amount.id: cell.amount.value,
            "encoder": cell.encoder,
            "runs": len(cell.values),
            "mean": cell.mean,
            "sd": cell.sd,
            "least": min(cell.values.values(), default=None),
            "greatest": max(cell.values.values(), default=None),
        }
        rows.append({**row, **_tested(by_cell.get((cell.figure, cell.amount, cell.encoder)))})
    _write(path, rows)


def _tested(contrast: Contrast | None) -> dict[str, Any]:
    names = ("baseline", "test", "difference", "statistic", "p", "p_holm", "tested_runs", "reason")
    if contrast is None:
        return dict.fromkeys(names)
    found = contrast.comparison
    if found is None:
        return {**dict.fromkeys(names), "baseline": contrast.baseline.encoder, "reason": contrast.reason}
    runs = "+".join(map(str, found.runs))
    values = (contrast.baseline.encoder, found.test, found.difference, found.statistic, found.p_value)
    return dict(zip(names, (*values, contrast.corrected, runs, None)))


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, lambda file: file.write(text.getvalue().encode()))
