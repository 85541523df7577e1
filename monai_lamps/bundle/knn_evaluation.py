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
"""The test of an encoder by its nearest labelled neighbours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from monai_lamps.bundle.evaluation import Evaluation
from monai_lamps.data.atomic import atomic_write
from monai_lamps.handlers import TaskValidator
from monai_lamps.metrics import Bootstrap
from monai_lamps.tasks import KnnClassification

__all__ = ["KnnEvaluation"]


class KnnEvaluation(Evaluation):
    """Shows labelled images to a kNN classification, then judges it as :class:`Evaluation` does.

    Besides what that writes, ``metrics.json`` has the figures as ``SECTION/<figure>``, as a finished training would, so
    that ``python -m monai_lamps.comparison`` compares encoders by them.

    Args:
        labelled: batches of the labelled images that vote, see
            :meth:`~monai_lamps.tasks.KnnClassification.remember`.
        section: name of the section that is judged.
        validator: holds the loader of the images that are judged.
        task: what is judged, on ``device``.
        output_dir: where the files go.
        device: where the inputs must lie.
        bootstrap: draws the intervals; 1000 draws by default.
        about: further entries of ``figures.json``.
    """

    task: KnnClassification

    def __init__(
        self,
        labelled: Iterable[Mapping[str, Any]],
        section: str,
        validator: TaskValidator,
        task: KnnClassification,
        output_dir: str | Path,
        device: str | torch.device = "cpu",
        bootstrap: Bootstrap | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(validator, task, output_dir, device, bootstrap, {**(about or {}), "section": section})
        self.labelled, self.section = labelled, section

    def run(self) -> dict[str, Any]:
        """Remember, judge, write and log.

        Returns:
            what ``figures.json`` holds.
        """
        self.about["training_images"] = self.task.remember(self.labelled, self.device)
        report = super().run()
        values = {f"{self.section}/{name}": entry["value"] for name, entry in report["figures"].items()}
        metrics = {
            "method": self.task.name,
            "finished": True,
            "training_images": report["training_images"],
            "figures": {name: {"first": value, "last": value} for name, value in values.items()},
        }
        text = json.dumps(metrics, indent=2, allow_nan=False) + "\n"
        atomic_write(self.output_dir / "metrics.json", lambda file: file.write(text.encode()))
        return report
