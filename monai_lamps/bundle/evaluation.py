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
"""The test of a fine-tuned network: figures with intervals, a table of cases, pictures."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from monai_lamps.data.atomic import atomic_write
from monai_lamps.handlers import CasePictureHandler, TaskValidator, write_cases
from monai_lamps.metrics import Bootstrap, patients_of
from monai_lamps.tasks import Task

__all__ = ["Evaluation"]

_LOGGER = logging.getLogger(__name__)


class Evaluation:
    """Judges a task on the cases of a validator's loader and writes what it finds.

    - ``cases.csv``: a row for each case, see :class:`~monai_lamps.handlers.TaskValidator`;
    - ``figures.json``: each figure with the ends of its bootstrap interval over patients, the number of cases, and what
      ``about`` says;
    - ``pictures/``: best, median and worst cases, or ROC and reliability curves.

    Args:
        validator: holds the loader and the inferer; figures and cases are its.
        task: what is judged, on ``device``.
        output_dir: where the files go.
        device: where the inputs must lie.
        bootstrap: draws the intervals; 1000 draws by default.
        about: further entries of ``figures.json``, such as the names of network and datalist.
    """

    def __init__(
        self,
        validator: TaskValidator,
        task: Task,
        output_dir: str | Path,
        device: str | torch.device = "cpu",
        bootstrap: Bootstrap | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.validator, self.task, self.output_dir, self.device = validator, task, Path(output_dir), device
        self.bootstrap, self.about = bootstrap or Bootstrap(), dict(about or {})

    def run(self) -> dict[str, Any]:
        """Judge, write and log.

        Returns:
            what ``figures.json`` holds.
        """
        figures = self.validator.measure(self.task, self.device)
        cases = self.validator.cases
        intervals = self.bootstrap.intervals(self.task.figures.statistic(cases), patients_of(cases))
        report = {
            **self.about,
            "cases": len(cases),
            "patients": len(set(patients_of(cases))),
            "confidence": self.bootstrap.confidence,
            "figures": {name: _entry(value, intervals.get(name)) for name, value in figures.items()},
        }
        write_cases(self.output_dir / "cases.csv", cases)
        text = json.dumps(report, indent=2, allow_nan=False) + "\n"
        atomic_write(self.output_dir / "figures.json", lambda file: file.write(text.encode()))
        self._draw()
        _LOGGER.info("\n" + _table(report["figures"]) + f"\n\n  {len(cases)} cases; files in {self.output_dir}")
        return report

    def _draw(self) -> None:
        pictures = CasePictureHandler(self.output_dir / "pictures", self.validator).draw(self.task, self.device)
        for name, picture in pictures.items():
            image = Image.fromarray(picture.permute(1, 2, 0).squeeze(-1).numpy())
            path = self.output_dir / "pictures" / f"{re.sub(r'[^0-9A-Za-z_.-]+', '_', name)}.png"
            atomic_write(path, partial(image.save, format="PNG"))


def _entry(value: float, interval: tuple[float, float] | None) -> dict[str, float | None]:
    ends = dict(zip(("lower", "upper"), interval)) if interval else {}
    return {name: number if math.isfinite(number) else None for name, number in {"value": value, **ends}.items()}


def _table(figures: Mapping[str, Mapping[str, float | None]]) -> str:
    def text(number: float | None) -> str:
        return f"{'-':>12}" if number is None else f"{number:>12.4g}"

    lines = [f"  {'figure':<40}{'value':>12}{'lower':>12}{'upper':>12}"]
    for name, entry in figures.items():
        lines.append(f"  {name:<40}" + "".join(text(entry.get(column)) for column in ("value", "lower", "upper")))
    return "\n".join(lines)
