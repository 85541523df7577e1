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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.utils import CommonKeys

from monai_lamps.data.atomic import atomic_write

__all__ = ["ProbabilityTable"]

_LOGGER = logging.getLogger(__name__)


class ProbabilityTable:
    """Writes the probabilities that an evaluator computes as a CSV file: image, then a column for each class.

    The file appears when all images are done, or not at all.

    Args:
        path: the file, e.g. ``OUT/probabilities.csv``.
        items: the datalist items in the order of the evaluator's data, each with ``image``.
        classes: names in the order of the network's output.

    Raises:
        RuntimeError: at the end, when the evaluator saw another number of images than ``items`` lists.
    """

    def __init__(self, path: str | Path, items: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> None:
        self.path, self.items, self.classes = Path(path), items, list(classes)
        self._rows: list[list[float]] = []

    def attach(self, engine: Engine) -> None:
        """Collect after every batch, write when the evaluator is done.

        Args:
            engine: the evaluator, with ``decollate=False``; its output holds ``pred`` (B, K).
        """
        engine.add_event_handler(Events.STARTED, lambda: self._rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _collect(self, engine: Any) -> None:
        self._rows += engine.state.output[CommonKeys.PRED].float().cpu().tolist()

    def _finish(self, engine: Engine) -> None:
        if len(self._rows) != len(self.items):
            raise RuntimeError(
                f"expected probabilities of {len(self.items)} images, got {len(self._rows)}; nothing was written."
            )
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["image", *self.classes])
        writer.writerows([item[CommonKeys.IMAGE], *row] for item, row in zip(self.items, self._rows))
        atomic_write(self.path, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))
        _LOGGER.info(f"probabilities of {len(self._rows)} images written to '{self.path}'.")
