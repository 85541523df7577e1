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

"""Which objective is trained when, and with which weight, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monai_lamps.engines.progress import Progress
from monai_lamps.engines.schedules import Schedule

__all__ = ["Curriculum", "Phase"]

_UNITS = ("epoch", "step")


@dataclass(frozen=True)
class Phase:
    """
    A stretch of the run in which the same objectives are trained.

    Args:
        weights: objective name to its weight: a finite number >= 0, or a schedule. At least one is not the number 0.
        length: length in units of the curriculum (epochs or steps), a whole number > 0.
        settings: further values that hold in this phase (a granularity, a temperature, ...), passed on as they are.

    Raises:
        ValueError: When there are no weights, a weight is negative or not finite, all are 0, or `length` is not
            positive.
        TypeError: When a weight is neither a number nor a schedule, or `length` is not a whole number.
    """

    weights: Mapping[str, float | Schedule]
    length: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.length, bool) or not isinstance(self.length, int):
            raise TypeError(f"Phase length got {self.length!r}, expected a whole number of epochs or steps.")
        if self.length < 1:
            raise ValueError(f"Phase length got {self.length}, expected at least 1: leave the phase out instead.")
        if not self.weights:
            raise ValueError("Phase weights got none, expected at least one objective, e.g. {'order': 0.1}.")
        for name, weight in self.weights.items():
            if callable(weight):
                continue
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise TypeError(f"Weight of objective '{name}' got {weight!r}, expected a number or a schedule.")
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f"Weight of objective '{name}' got {weight}, expected a finite number >= 0.")
        if not any(callable(weight) or weight > 0 for weight in self.weights.values()):
            raise ValueError(
                f"Phase weights got {dict(self.weights)}, expected one above 0: a phase without objectives trains "
                "nothing."
            )


class Curriculum:
    """
    The objectives of a run, phase by phase.

    One type expresses the published curricula:

    * Lamps (arXiv 2512.22872): one objective an epoch, in a cycle of three,
      ``Curriculum([{"extrapolation": 1}, {"order": 0.1, "consistency": 1}, {"composition": 1, "decomposition": 1}])``;
      the same per step with ``unit="step"``; jointly with all five names in one phase.
    * Adam: stages of finer and finer anatomy,
      ``Curriculum([Phase({"contrast": 1}, 200, {"granularity": n}) for n in (2, 4, 8)], repeat=False)``; the last phase
      holds on.
    * RadLAS: an objective that is faded in, ``Curriculum([{"a": 1, "b": Linear(0, 1, end_epoch=10)}])``.

    Args:
        phases: at least one phase, each a `Phase`, a mapping from objective to weight, or (for JSON) a mapping with the
            arguments of `Phase` (``{"weights": {...}, "length": 200, "settings": {...}}``).
        unit: what phase lengths count, "epoch" (published) or "step".
        repeat: begin again after the last phase; if False the last phase holds on.

    Raises:
        ValueError: When there are no phases or `unit` is unknown.
        TypeError: When a phase is neither a `Phase` nor a mapping.
    """

    def __init__(
        self,
        phases: Sequence[Mapping[str, Any] | Phase],
        unit: str = "epoch",
        repeat: bool = True,
    ) -> None:
        if unit not in _UNITS:
            raise ValueError(f"unit got {unit!r}, expected one of {list(_UNITS)}.")
        self.phases = tuple(_as_phase(phase) for phase in phases)
        if not self.phases:
            raise ValueError("phases got none, expected at least one: Curriculum([{'objective': 1.0}]).")
        self.unit = unit
        self.repeat = repeat

    def __repr__(self) -> str:
        return f"Curriculum(phases={list(self.phases)}, unit={self.unit!r}, repeat={self.repeat})"

    @property
    def period(self) -> int:
        """Length of all phases together, in units (epochs or steps)."""
        return sum(phase.length for phase in self.phases)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of all objectives that are ever active, in the order in which they first appear."""
        names = (n for phase in self.phases for n, weight in phase.weights.items() if callable(weight) or weight > 0)
        return tuple(dict.fromkeys(names))

    def phase_index(self, progress: Progress) -> int:
        """Index of the phase that holds at `progress`, in [0, len(phases))."""
        position = progress.epoch if self.unit == "epoch" else progress.step
        if self.repeat:
            position %= self.period
        for index, phase in enumerate(self.phases):
            if position < phase.length:
                return index
            position -= phase.length
        return len(self.phases) - 1

    def weights(self, progress: Progress) -> dict[str, float]:
        """
        Active objectives and their weights.

        An objective whose weight is 0 at this step is left out, so that nothing is computed for it. Should all
        schedules of a phase be 0 at this step (a warm-up that starts from 0), they are all kept, for a step needs a
        loss.

        Args:
            progress: place in the run.

        Returns:
            Objective name to weight, > 0 (see above), never empty.

        Raises:
            ValueError: When a schedule gives a negative or non-finite weight.
        """
        values: dict[str, float] = {}
        for name, weight in self.phases[self.phase_index(progress)].weights.items():
            if callable(weight):
                values[name] = float(weight(progress))
                if not math.isfinite(values[name]) or values[name] < 0:
                    raise ValueError(
                        f"Schedule of objective '{name}' got {values[name]} at step {progress.step}, "
                        f"expected a finite weight >= 0: mend {weight!r}."
                    )
            elif weight > 0:
                values[name] = float(weight)
        return {name: value for name, value in values.items() if value > 0} or values

    def settings(self, progress: Progress) -> dict[str, Any]:
        """Settings of the phase that holds at `progress` (a copy)."""
        return dict(self.phases[self.phase_index(progress)].settings)


def _as_phase(phase: Mapping[str, Any] | Phase) -> Phase:
    if isinstance(phase, Phase):
        return phase
    if not isinstance(phase, Mapping):
        raise TypeError(
            f"phase got {phase!r} of type {type(phase).__name__}, expected a Phase or a mapping from objective to "
            "weight."
        )
    if isinstance(phase.get("weights"), Mapping):
        unknown = sorted(set(phase) - {"weights", "length", "settings"})
        if unknown:
            raise ValueError(f"phase got the unknown keys {unknown}, expected only weights, length and settings.")
        return Phase(**phase)
    return Phase(weights=phase)
