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
"""Explanations of one classifier side by side: figures with intervals over patients, files, pictures."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from monai_lamps.data.atomic import atomic_write
from monai_lamps.explanations import CannotExplainError, ConstantExplainer, Explainer
from monai_lamps.handlers import evaluating, write_cases
from monai_lamps.metrics import Bootstrap, Row
from monai_lamps.reports import (
    Entry,
    Section,
    as_picture,
    csv_table,
    draw_intervals,
    markdown_table,
    page,
    side_by_side,
)
from monai_lamps.tasks import Classification

from .judge import NOTES, Judge
from .pictures import best_and_worst, draw_explanations

__all__ = ["ExplanationEvaluation"]

_LOGGER = logging.getLogger(__name__)


class ExplanationEvaluation:
    """Judges explanations of one class of a classifier and writes what it finds.

    - ``metrics.json``: all figures with the ends of their bootstrap intervals over patients, the differences from the
      reference with theirs, which explanations the network does not allow and why;
    - ``table.csv`` (a row for each figure and explanation), ``table.md``, and ``cases.csv`` (for each explanation and
      image);
    - ``report.html`` (opens without a network) and ``pictures/*.png``: for each explanation the image that it shows
      best and the one that it shows worst, with all the others beside.

    All explanations are of the same images and the same answers of the network, and a draw of the bootstrap is of the
    same patients for all.

    Args:
        task: the classifier, on ``device``; judged in eval mode, and left as it was.
        explainers: by name.
        data: batches of ``image`` (B, 1, H, W) float in [0, 1], ``mask`` (B, 1, H, W) in [0, 1], inside from 0.5,
            ``annotated`` (B, 1) bool, ``name`` and ``patient`` (texts), in the order of the dataset; where they have
            ``index`` (B,), the number of the item that was read, an item that comes again is left out.
        target: name of the class that is explained; may be left out where there is one.
        output_dir: where the files go.
        device: where the inputs must lie.
        reference: name of the explainer that the others are compared with; the first one by default.
        judge: what is measured.
        bootstrap: draws the intervals.
        about: further entries of ``metrics.json``, in JSON primitives.

    Raises:
        ValueError: when there is no explainer, none has the name of the reference, or the class is unknown.
    """

    def __init__(
        self,
        task: Classification,
        explainers: Mapping[str, Explainer],
        data: DataLoader,
        target: str = "",
        output_dir: str | Path = "eval",
        device: str | torch.device = "cpu",
        reference: str = "",
        judge: Judge | None = None,
        bootstrap: Bootstrap | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        if not explainers or (reference and reference not in explainers):
            names = ", ".join(explainers) or "(none given)"
            raise ValueError(f"reference got '{reference}', expected one of the explainers {names}.")
        if not target and len(task.classes) == 1:
            target = task.classes[0]
        if target not in task.classes:
            raise ValueError(f"target got '{target}', expected the class to explain: {', '.join(task.classes)}.")
        self.task, self.explainers, self.data, self.target = task, dict(explainers), data, target
        self.output_dir, self.device = Path(output_dir), device
        self.reference, self.judge = reference or next(iter(explainers)), judge or Judge()
        self.bootstrap, self.about = bootstrap or Bootstrap(), dict(about or {})
        self._class = task.classes.index(target)

    def run(self) -> dict[str, Any]:
        """Explain, judge, write and log.

        Returns:
            what ``metrics.json`` holds.

        Raises:
            ValueError: when the network does not allow the reference, or no image shows where anything is.
        """
        with evaluating(self.task):
            rows, cases, reasons = self._look()
        statistics = {name: self.judge.statistic(own) for name, own in rows.items()}
        table = side_by_side(statistics, self.reference, [case["patient"] for case in cases], self.bootstrap)
        first = next(iter(rows.values()))
        report = {
            **self.about,
            "target": self.target,
            "images": len(cases),
            "images with truth": sum("pointing_game" in row for row in first),
            "patients": len({case["patient"] for case in cases}),
            "confidence": self.bootstrap.confidence,
            "reference": self.reference,
            "figures": {figure: {name: asdict(entry) for name, entry in row.items()} for figure, row in table.items()},
            "better": {figure: NOTES[figure].better for figure in table},
            "not judged": reasons,
        }
        self._write(report, table, rows, cases)
        return report

    def score(self, images: Tensor) -> Tensor:
        """Probability (B,) of the class that is explained, for normalised images."""
        logits: Tensor = self.task.network(images)
        return self.task.probabilities(logits.float())[:, self._class]

    def _look(self) -> tuple[dict[str, list[Row]], list[Row], dict[str, str]]:
        """What each explainer shows of each image, the images, and why some explainers cannot be used."""
        rows: dict[str, list[Row]] = {name: [] for name in self.explainers}
        cases: list[Row] = []
        reasons: dict[str, str] = {}
        seconds = dict.fromkeys(self.explainers, 0.0)
        lost = 0
        for batch in self._batches():
            images = self.task.normalize(batch["image"].to(self.device))
            told = batch["annotated"].view(-1, 1, 1, 1) & (batch["mask"] > 0)
            masks = (batch["mask"] >= 0.5) & told
            lost += int((told.flatten(1).any(dim=1) & ~masks.flatten(1).any(dim=1)).sum())
            probabilities = self.score(images).cpu()
            named = zip(batch["name"], batch["patient"], batch["place"])
            cases += [{"image": name, "patient": who, "index": place} for name, who, place in named]
            for name in [name for name in self.explainers if name not in reasons]:
                start = time.monotonic()
                try:
                    maps = self.explainers[name](self.task.network, images, self._class).cpu()
                except CannotExplainError as reason:
                    if name == self.reference:
                        raise ValueError(f"reference got '{name}', which cannot be used here: {reason}") from reason
                    reasons[name] = str(reason)
                    _LOGGER.warning(f"{name} is not judged: {reason}")
                    continue
                seconds[name] += time.monotonic() - start
                rows[name] += self.judge.rows(maps, masks, images, self.score, probabilities)
        rows = {name: own for name, own in rows.items() if name not in reasons}
        if not any("pointing_game" in row for row in rows[self.reference]):
            raise ValueError(
                "no image shows where anything is (boxes or masks that are not empty), so there is nothing to compare "
                "explanations with; choose another section, other structures, or synthetic lesions."
            )
        if lost:
            _LOGGER.warning(f"the truth of {lost} images is too small to be seen at the size of the network's images.")
        _LOGGER.info("seconds for the maps: " + ", ".join(f"{name} {seconds[name]:.1f}" for name in rows))
        return rows, cases, reasons

    def _batches(self) -> Iterator[dict[str, Any]]:
        """The batches, each item once, and the ``place`` of each in the dataset.

        An item comes twice where it stands in for one that could not be read, and in its own turn.
        """
        seen: set[int] = set()
        start = 0
        for batch in self.data:
            places = range(start, start + len(batch["name"]))
            start = places.stop
            fresh = []
            for row, item in enumerate(torch.as_tensor(batch.get("index", places)).tolist()):
                if item not in seen:
                    seen.add(item)
                    fresh.append(row)
            parts = {**batch, "place": places}
            if fresh:
                yield {
                    key: part[fresh] if isinstance(part, Tensor) else [part[row] for row in fresh]
                    for key, part in parts.items()
                }

    def _pictures(self, rows: Mapping[str, list[Row]], cases: Sequence[Row]) -> dict[str, Image.Image]:
        found = {}
        for caption, number in best_and_worst(rows).items():
            item = self.data.dataset[cases[number]["index"]]
            image, mask = item["image"][None].float(), item["mask"][None] >= 0.5
            inputs = self.task.normalize(image.to(self.device))
            shown = [name for name in rows if not isinstance(self.explainers[name], ConstantExplainer)]
            maps = {name: self.explainers[name](self.task.network, inputs, self._class)[0] for name in shown}
            captions = {name: f"{name} {own[number]['pixel_auroc']:.2f}" for name, own in rows.items()}
            captions[""] = f"{self.target} {next(iter(rows.values()))[number]['probability']:.2f}"
            found[caption] = as_picture(draw_explanations(image[0], mask[0], maps, captions))
        return found

    def _write(
        self,
        report: Mapping[str, Any],
        table: Mapping[str, Mapping[str, Entry]],
        rows: Mapping[str, list[Row]],
        cases: list[Row],
    ) -> None:
        pictures = self._pictures(rows, cases)
        for caption, picture in pictures.items():
            file = re.sub(r"[^0-9A-Za-z_.-]+", "_", caption) + ".png"
            atomic_write(self.output_dir / "pictures" / file, partial(picture.save, format="PNG"))
        text, better = self._text(report), report["better"]
        meanings = {figure: NOTES[figure].meaning for figure in table}
        section = Section(self.target, "", table, better, meanings, {"figures": draw_intervals(table), **pictures})
        written = {
            "table.csv": csv_table(table, better, "explanation"),
            "table.md": f"{text}\n\n{markdown_table(table, better)}",
            "report.html": page("Where a classifier looks", text, [section]),
            "metrics.json": json.dumps(report, indent=2, allow_nan=False) + "\n",
        }
        for name, content in written.items():
            atomic_write(self.output_dir / name, partial(_put, content))
        shown = [
            {**case, "explanation": name, **self.judge.shown(row)}
            for name, own in rows.items()
            for case, row in zip(cases, own)
        ]
        write_cases(self.output_dir / "cases.csv", shown)
        _LOGGER.info(f"\n{written['table.md']}\nfiles in {self.output_dir}")

    def _text(self, report: Mapping[str, Any]) -> str:
        absent = "".join(f" {name} is not judged: {why}" for name, why in report["not judged"].items())
        return (
            f"Class '{self.target}'; {report['images']} images of {report['patients']} patients, "
            f"{report['images with truth']} of which show where it is; in brackets {report['confidence']:.0%} "
            f"bootstrap intervals over patients; * where the interval of the difference from '{self.reference}', over "
            f"the same draws, leaves 0 out (not corrected for the number of figures).{absent}"
        )


def _put(content: str, file: Any) -> None:
    file.write(content.encode())
