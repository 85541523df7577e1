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
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from monai_lamps.data.atomic import atomic_write
from monai_lamps.metrics import Row

from .late import REPORTING, attach_after
from .task_validator import TaskValidator

__all__ = ["CaseTable", "write_cases"]

_LOGGER = logging.getLogger(__name__)
_FIRST = ("image", "patient", "index")


class CaseTable:
    """Keeps the validation cases of the best epoch as a CSV file, a row a case.

    Rank 0 writes; a disk error is logged, and training goes on.

    Args:
        path: the file, e.g. ``OUT/cases_validation.csv``.
        validator: what judges, attached to the same trainer.
    """

    def __init__(self, path: str | Path, validator: TaskValidator) -> None:
        self.path, self.validator = Path(path), validator

    def attach(self, engine: Engine) -> None:
        """Write behind the validator whenever it has found the best epoch so far.

        Args:
            engine: the trainer.
        """
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)

    def _epoch_completed(self, engine: Any) -> None:
        if not self.validator.improved or idist.get_rank() != 0:
            return
        try:
            write_cases(self.path, self.validator.cases)
        except OSError as error:
            _LOGGER.error("could not write %s: %s; training goes on", self.path, error)


def write_cases(path: str | Path, rows: Sequence[Row]) -> Path:
    """Write cases as a CSV file: image, patient and index first, then the figures; empty where a case has none.

    Args:
        path: the file, replaced in one step.
        rows: ``TaskValidator.cases``.

    Returns:
        the path.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in _FIRST if name in names] + [name for name in names if name not in _FIRST]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=columns)
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return atomic_write(path, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))
