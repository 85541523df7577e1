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
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .checks import nearest

__all__ = ["EPOCHS", "best_epoch", "check_figures", "evaluated", "is_trained", "last_epoch", "less_is_better"]

#: figures, by the first part of their name, of which less is better
_LESS = ("loss", "hd95", "surface_distance", "brier", "ece", "missed", "false_alarm")


def is_trained(folder: Path) -> bool:
    """Whether the training in a folder has reached its end, or its early stopping: its ``metrics.json`` says so."""
    return bool(_json(folder / "metrics.json").get("finished"))


def last_epoch(folder: Path) -> dict[str, float]:
    """Figures of a training: those of its last epoch, and what else ``metrics.json`` gives as a number.

    Args:
        folder: ``output_dir`` of the run.

    Returns:
        figures by name, NaN where one is not defined.
    """
    metrics = _json(folder / "metrics.json")
    figures = {name: figure.get("last") for name, figure in metrics.get("figures", {}).items()}
    plain = {name: value for name, value in metrics.items() if value is not None}
    return _numbers({**plain, **figures})


def best_epoch(folder: Path) -> dict[str, float]:
    """As :func:`last_epoch`, but with the figures of the epoch whose network is ``best.pt``.

    Args:
        folder: ``output_dir`` of the run; its ``metrics.json`` names the "best epoch", ``history.csv`` has its figures.

    Raises:
        ValueError: when the run names no best epoch, or its history lacks it.
    """
    figures = last_epoch(folder)
    path = folder / "history.csv"
    if "best epoch" not in figures:
        raise ValueError(f"'{folder / 'metrics.json'}' names no best epoch; compare the last: epoch = 'last'.")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if float(row["epoch"]) == figures["best epoch"]]
    if not rows:
        raise ValueError(f"'{path}' lacks epoch {figures['best epoch']:g}, the best; compare the last: epoch = 'last'.")
    return {**figures, **_numbers({name: float(value) for name, value in rows[-1].items() if value})}


def evaluated(folder: Path) -> dict[str, float] | None:
    """Figures of an evaluation: ``figures.json`` of its folder; None when it is not there."""
    path = folder / "figures.json"
    if not path.is_file():
        return None
    content = _json(path)
    figures = content.get("figures", content)
    return _numbers({name: value.get("value") if isinstance(value, dict) else value for name, value in figures.items()})


def check_figures(wanted: Iterable[str], present: Mapping[str, float], where: str) -> None:
    """Refuse to compare a figure that runs do not have.

    Raises:
        ValueError: naming the first one, the nearest and all those that there are.
    """
    for name in wanted:
        if name not in present:
            names = sorted(present)
            near = nearest(name, names)
            raise ValueError(
                f"{where} has no figure '{name}': {near}" + ("" if near.startswith("there") else f" It has: {names}")
            )


def less_is_better(figure: str) -> bool:
    """Whether a figure is a loss, a distance or an error; of all others more is better."""
    return any(part.startswith(_LESS) for part in figure.split("/"))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"'{path}' is damaged ({error}); delete it, then the run is made again.") from error
    return content if isinstance(content, dict) else {}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """What is a number; null, which JSON has in place of NaN, is NaN again."""
    return {
        name: math.nan if value is None else float(value)
        for name, value in values.items()
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    }


#: which epoch's figures count, by the name that a plan gives
EPOCHS: dict[str, Callable[[Path], dict[str, float]]] = {"last": last_epoch, "best": best_epoch}
