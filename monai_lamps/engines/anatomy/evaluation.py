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
"""Encoders side by side: every probe on every encoder, intervals over patients, files."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from monai_lamps.data.atomic import atomic_write
from monai_lamps.metrics import Bootstrap
from monai_lamps.reports import (
    Entry,
    Section,
    csv_table,
    draw_densities,
    draw_intervals,
    markdown_table,
    page,
    side_by_side,
)

from .case import Case
from .probe import Examination, Finding, NotJudgedError, Probe
from .subject import Subject

__all__ = ["AnatomyEvaluation"]

_LOGGER = logging.getLogger(__name__)


class AnatomyEvaluation:
    """Judges what encoders know of anatomy and writes what it finds.

    - ``metrics.json``: all figures with the ends of their bootstrap intervals over patients, the differences from the
      reference with theirs, what was not judged and why;
    - ``table.csv`` (a row for each figure and encoder) and ``table.md``;
    - ``report.html`` (opens without a network) and ``pictures/*.png``.

    All encoders see the same patches, warps and pairs, and a draw of the bootstrap is of the same patients for all, so
    the interval of a difference is that of a paired comparison. It says nothing about another training of the same
    method.

    Args:
        subjects: the encoders.
        cases: the radiographs.
        probes: what is judged.
        output_dir: where the files go.
        image_size: side to which whole radiographs are brought, px.
        reference: name of the encoder that the others are compared with; the first one by default.
        bootstrap: draws the intervals.
        about: further entries of ``metrics.json``, in JSON primitives.

    Raises:
        ValueError: when there is no encoder or no probe, two encoders have one name, or none that of the reference.
    """

    def __init__(
        self,
        subjects: Sequence[Subject],
        cases: Sequence[Case],
        probes: Sequence[Probe],
        output_dir: str | Path,
        image_size: int,
        reference: str = "",
        bootstrap: Bootstrap | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        names = [subject.name for subject in subjects]
        if not names or not probes or len(set(names)) != len(names):
            raise ValueError(f"an evaluation needs encoders of different names and probes; got {names}, {len(probes)}.")
        if reference and reference not in names:
            raise ValueError(f"reference got '{reference}', expected one of the encoders {', '.join(names)}.")
        self.subjects, self.cases, self.probes = list(subjects), list(cases), list(probes)
        self.output_dir, self.image_size, self.reference = Path(output_dir), image_size, reference or names[0]
        self.bootstrap, self.about = bootstrap or Bootstrap(), dict(about or {})

    def run(self) -> dict[str, Any]:
        """Judge, write and log.

        Returns:
            what ``metrics.json`` holds.
        """
        findings: dict[str, dict[str, Finding]] = {probe.name: {} for probe in self.probes}
        reasons: dict[str, dict[str, str]] = {}
        for subject in self.subjects:
            examination = Examination(subject, self.cases, self.image_size)
            for probe in self.probes:
                start = time.monotonic()
                try:
                    findings[probe.name][subject.name] = probe(examination)
                except NotJudgedError as reason:
                    reasons.setdefault(probe.name, {})[subject.name] = str(reason)
                    _LOGGER.warning(f"{subject.name}: {probe.name} is not judged: {reason}")
                else:
                    _LOGGER.info(f"{subject.name}: {probe.name} ({time.monotonic() - start:.1f} s)")
        entries = {name: self._entries(name, found) for name, found in findings.items()}
        report = self._report(entries, reasons)
        self._write(report, entries, findings, reasons)
        return report

    def _entries(self, probe: str, found: Mapping[str, Finding]) -> dict[str, dict[str, Entry]]:
        if not found:
            return {}
        statistics = {name: finding.statistic for name, finding in found.items()}
        table = side_by_side(statistics, self.reference, [case.patient for case in self.cases], self.bootstrap)
        return {f"{probe}/{figure}": row for figure, row in table.items()}

    def _report(
        self, entries: Mapping[str, Mapping[str, Mapping[str, Entry]]], reasons: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Any]:
        return {
            **self.about,
            "images": len(self.cases),
            "patients": len({case.patient for case in self.cases}),
            "confidence": self.bootstrap.confidence,
            "reference": self.reference,
            "encoders": {subject.name: subject.about for subject in self.subjects},
            "figures": {
                figure: {name: asdict(entry) for name, entry in row.items()}
                for table in entries.values()
                for figure, row in table.items()
            },
            "better": _better(self.probes, entries),
            "not judged": {probe: dict(why) for probe, why in reasons.items()},
        }

    def _write(
        self,
        report: Mapping[str, Any],
        entries: Mapping[str, Mapping[str, Mapping[str, Entry]]],
        findings: Mapping[str, Mapping[str, Finding]],
        reasons: Mapping[str, Mapping[str, str]],
    ) -> None:
        better: dict[str, str] = report["better"]
        everything = {figure: row for table in entries.values() for figure, row in table.items()}
        sections = [
            self._section(probe, entries[probe.name], findings[probe.name], reasons.get(probe.name, {}), better)
            for probe in self.probes
        ]
        for section in sections:
            for caption, picture in section.pictures.items():
                file = re.sub(r"[^0-9A-Za-z_.-]+", "_", f"{section.title} {caption}").strip("_") + ".png"
                atomic_write(self.output_dir / "pictures" / file, partial(picture.save, format="PNG"))
        text = self._text(report)
        written = {
            "table.csv": csv_table(everything, better),
            "table.md": f"{text}\n\n{markdown_table(everything, better)}",
            "report.html": page("What encoders know of anatomy", text, sections),
            "metrics.json": json.dumps(report, indent=2, allow_nan=False) + "\n",
        }
        for name, content in written.items():
            atomic_write(self.output_dir / name, partial(_put, content))
        _LOGGER.info(f"\n{written['table.md']}\nfiles in {self.output_dir}")

    def _text(self, report: Mapping[str, Any]) -> str:
        return (
            f"{report['images']} radiographs of {report['patients']} patients; in brackets "
            f"{report['confidence']:.0%} bootstrap intervals over patients; * where the interval of the difference "
            f"from '{self.reference}', over the same draws, leaves 0 out (not corrected for the number of figures)."
        )

    def _section(
        self,
        probe: Probe,
        table: Mapping[str, Mapping[str, Entry]],
        found: Mapping[str, Finding],
        why: Mapping[str, str],
        better: Mapping[str, str],
    ) -> Section:
        absent = " ".join(f"Not judged for {name}: {reason}" for name, reason in why.items())
        pictures = {"figures": draw_intervals(table)} if table else {}
        for plot in dict.fromkeys(name for finding in found.values() for name in finding.samples):
            curves = {name: finding.samples[plot] for name, finding in found.items() if plot in finding.samples}
            controls = {name: finding.controls[plot] for name, finding in found.items() if plot in finding.controls}
            pictures[plot] = draw_densities(plot, curves, controls)
        for name, finding in found.items():
            pictures.update({f"{name}, {caption}": picture for caption, picture in finding.pictures.items()})
        meanings = {f"{probe.name}/{figure}": note.meaning for figure, note in probe.notes.items()} if table else {}
        return Section(probe.name, f"{probe.about} {absent}".strip(), table, better, meanings, pictures)


def _better(probes: Sequence[Probe], entries: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    named = ((probe, figure) for probe in probes for figure in entries[probe.name])
    return {figure: probe.note(figure.removeprefix(f"{probe.name}/")).better for probe, figure in named}


def _put(content: str, file: Any) -> None:
    file.write(content.encode())
