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

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.utils import is_scalar

from monai_lamps.data.atomic import atomic_write
from monai_lamps.handlers.early_stopping import EarlyStopping
from monai_lamps.handlers.history import HistoryHandler

__all__ = ["ReportHandler"]


class ReportHandler:
    """At the end of a run: write ``metrics.json`` and log a short report of what was learned and where things lie.

    Of every figure of the history the first and the last value are kept (an objective that is active in some epochs
    only has its own first and last). A run that was interrupted is marked as not finished, and its epochs are those
    that it has completed; one that :class:`EarlyStopping` has ended is finished, and ``stopped_early`` tells it. The
    file is strict JSON: a figure that is not a number is null there.

    Args:
        output_dir: folder of the run.
        history: the run's history, which survives resuming.
        chance: values that chance would give, by figure, shown beside it (e.g. order accuracy 1 / N).
        extra: figures known only at the end, called then (e.g. how many files were rejected).
        files: what lies where, by name, for the last lines of the report; those that are not there are left out.
        early: what may end the run before its last epoch on purpose; None when nothing does.
        shown: beginnings of the names of figures that the log shows, besides those with a chance value.
    """

    def __init__(
        self,
        output_dir: str | Path,
        history: HistoryHandler,
        chance: Mapping[str, float] | None = None,
        extra: Callable[[], Mapping[str, Any]] | None = None,
        files: Mapping[str, str | Path] | None = None,
        early: EarlyStopping | None = None,
        shown: Sequence[str] = ("loss/", "collapse/"),
    ) -> None:
        self.output_dir, self.history = Path(output_dir), history
        self.chance, self.extra, self.files = dict(chance or {}), extra, dict(files or {})
        self.early, self.shown = early, tuple(shown)
        self.logger = logging.getLogger(type(self).__module__)

    def attach(self, engine: Engine) -> None:
        """Report when the run ends, finished or stopped.

        Args:
            engine: the trainer, with ``method`` and ``progress``.
        """
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        """Write and log the report (first process only). A full disk is logged; it does not end the run.

        Args:
            engine: the trainer.
        """
        if engine.state.rank != 0:
            return
        metrics, path = self.collect(engine), self.output_dir / "metrics.json"
        text = json.dumps(_strict(metrics), indent=2, allow_nan=False) + "\n"
        try:
            atomic_write(path, lambda file: file.write(text.encode()))
        except OSError as error:
            self.logger.error(f"the report could not be written to '{path}' ({error}); free space there.")
        self.logger.info("\n" + self.render(metrics, self.shown))

    def collect(self, engine: Any) -> dict[str, Any]:
        """Everything that the report shows.

        Args:
            engine: the trainer.

        Returns:
            method, finished (bool), maybe stopped_early (bool), epochs and steps (completed), planned_epochs, figures
            (by name: first, last, maybe chance), what ``extra`` gave, and files (by name).
        """
        names = sorted({name for row in self.history.rows for name in row} - {"epoch", "step"})
        figures: dict[str, dict[str, float]] = {}
        for name in names:
            figures[name] = {"first": self.history.first(name), "last": self.history.last(name)}
            if name in self.chance:
                figures[name]["chance"] = self.chance[name]
        early = {} if self.early is None else {"stopped_early": self.early.stopped}
        return {
            "method": engine.method.name,
            "finished": engine.state.iteration >= engine.progress.total_steps or any(early.values()),
            **early,
            "epochs": engine.state.iteration // engine.progress.steps_per_epoch,
            "planned_epochs": engine.progress.total_epochs,
            "steps": engine.state.iteration,
            "figures": figures,
            **(dict(self.extra()) if self.extra else {}),
            "files": {name: str(path) for name, path in self.files.items() if Path(path).exists()},
        }

    @staticmethod
    def render(metrics: Mapping[str, Any], shown: Sequence[str] = ("loss/", "collapse/")) -> str:
        """The report as text: some figures and what has a chance value; ``metrics.json`` holds all of them.

        Args:
            metrics: from :meth:`collect`.
            shown: beginnings of the names of the figures to show.
        """
        state = "finished" if metrics["finished"] else "stopped early (run the same command again to go on)"
        if metrics.get("stopped_early"):
            state = "finished early, since validation has become no better"
        lines = [
            f"{metrics['method']}: {state}, {_count(metrics['epochs'], 'epoch')}, {_count(metrics['steps'], 'step')}",
            "",
        ]
        if metrics["figures"]:
            lines.append(f"  {'figure':<34}{'first':>12}{'last':>12}{'chance':>12}")
        for name, figure in metrics["figures"].items():
            if "chance" not in figure and not name.startswith(tuple(shown)):
                continue
            chance = f"{figure['chance']:>12.4g}" if "chance" in figure else ""
            lines.append(f"  {name:<34}{figure['first']:>12.4g}{figure['last']:>12.4g}{chance}")
        plain = ("method", "finished", "stopped_early", "epochs", "planned_epochs", "steps", "figures", "files")
        lines += [""] if metrics["figures"] else []
        lines += [f"  {name}: {_short(value)}" for name, value in metrics.items() if name not in plain]
        lines += [f"  {name}: {path}" for name, path in metrics["files"].items()]
        return "\n".join(lines)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _strict(value: Any) -> Any:
    """The value as strict JSON has it: scalars of torch and NumPy are numbers, what is not finite is null."""
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) or (is_scalar(value) and hasattr(value, "item")):
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)
