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

from typing import Any

from monai_lamps.engines import Curriculum

__all__ = ["OBJECTIVES", "CROSS_VIEW_OBJECTIVES", "lamps_curriculum"]

#: the published cycle: each entry is one epoch's loss terms with their weights (released code, cycles 0, 1, 2)
OBJECTIVES: tuple[dict[str, float], ...] = (
    {"extrapolation": 1.0},
    {"order": 0.1, "consistency": 1.0},
    {"composition": 1.0, "decomposition": 1.0},
)
#: the fourth objective, present in the released code but switched off there
CROSS_VIEW_OBJECTIVES: dict[str, float] = {"global_view": 0.1, "local_view": 1.0}

_UNITS = {"epoch": "epoch", "step": "step", "joint": "epoch"}


def lamps_curriculum(cycle: str = "epoch", cross_view: bool = False) -> Curriculum:
    """Which of Lamps' objectives is active when.

    Args:
        cycle: ``"epoch"`` changes the objective every epoch (published), ``"step"`` every step (so that a short run
            meets them all), ``"joint"`` takes the mean of the objectives in every step.
        cross_view: add the fourth objective, consistency of the two views on overlapping cells (not published).

    Raises:
        ValueError: for another ``cycle``.
    """
    if cycle not in _UNITS:
        raise ValueError(f"unknown curriculum '{cycle}', valid values are {', '.join(_UNITS)}.")
    phases: list[Any] = [dict(phase) for phase in OBJECTIVES]
    if cross_view:
        phases.append(dict(CROSS_VIEW_OBJECTIVES))
    if cycle == "joint":
        phases = [{name: weight / len(phases) for phase in phases for name, weight in phase.items()}]
    return Curriculum(phases, unit=_UNITS[cycle])
