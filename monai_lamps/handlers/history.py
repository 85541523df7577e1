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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.utils import is_scalar

from monai_lamps.data.atomic import atomic_write

from .late import REPORTING, attach_after

__all__ = ["HistoryHandler"]

_LOGGER = logging.getLogger(__name__)


class HistoryHandler:
    """Keeps the figures of every epoch, through interruptions when it is among the state of the checkpoints.

    At the end of an epoch, behind every handler that measures, it takes all scalars of ``engine.state.metrics`` and
    rewrites ``history.csv`` atomically: a line an epoch, a column a figure (union of all epochs, empty where a figure
    was not measured), first ``epoch`` (1 for the first) and ``step``. Rank 0 writes.

    Args:
        directory: folder of ``history.csv``; None writes no file.

    Attributes:
        rows: the figures of every completed epoch, the first epoch first.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self.path = None if directory is None else Path(directory) / "history.csv"
        self.rows: list[dict[str, float]] = []

    def attach(self, engine: Engine) -> None:
        """Take the figures at the end of every epoch.

        Args:
            engine: the trainer.
        """
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)

    def first(self, name: str) -> float:
        """The figure in the first epoch that has it.

        Raises:
            KeyError: when no epoch has it.
        """
        return self.values(name)[0]

    def last(self, name: str) -> float:
        """The figure in the last epoch that has it.

        Raises:
            KeyError: when no epoch has it.
        """
        return self.values(name)[-1]

    def values(self, name: str) -> list[float]:
        """The figure in every epoch that has it, at least one value.

        Raises:
            KeyError: when no epoch has it.
        """
        found = [row[name] for row in self.rows if name in row]
        if not found:
            raise KeyError(f"no epoch has a figure '{name}'; there are {self.names}.")
        return found

    @property
    def names(self) -> list[str]:
        """Names of all figures, in the order in which they first appeared."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def state_dict(self) -> dict[str, Any]:
        """The epochs as plain numbers."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the epochs of an earlier process.

        Args:
            state: from :meth:`state_dict`.
        """
        self.rows = [dict(row) for row in state["rows"]]

    def _epoch_completed(self, engine: Engine) -> None:
        figures = {name: float(value) for name, value in engine.state.metrics.items() if is_scalar(value)}
        self.rows.append({"epoch": int(engine.state.epoch), "step": int(engine.state.iteration), **figures})
        if self.path is not None and idist.get_rank() == 0:
            try:
                self._write(self.path)
            except OSError as error:
                _LOGGER.error("could not write %s: %s; training goes on", self.path, error)

    def _write(self, path: Path) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=self.names)
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(path, lambda file: file.write(text.getvalue().encode()))
