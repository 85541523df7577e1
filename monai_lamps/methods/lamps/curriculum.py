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

from collections.abc import Mapping, Sequence

from monai_lamps.engines import Curriculum, Phase

__all__ = ["OBJECTIVES", "CROSS_VIEW_OBJECTIVES", "lamps_curriculum"]

#: the published cycle: each entry is one epoch's loss terms with their weights (released code, cycles 0, 1, 2)
OBJECTIVES: tuple[dict[str, float], ...] = (
    {"extrapolation": 1.0},
    {"order": 0.1, "consistency": 1.0},
    {"composition": 1.0, "decomposition": 1.0},
)
#: the fourth objective, present in the released code but switched off there
CROSS_VIEW_OBJECTIVES: dict[str, float] = {"global_view": 0.1, "local_view": 1.0}

_CYCLES = ("epoch", "step", "joint")


def lamps_curriculum(
    cycle: str = "epoch",
    cross_view: bool = False,
    weights: Mapping[str, float] | None = None,
    lengths: Sequence[int] | None = None,
) -> Curriculum:
    """Which of Lamps' objectives is active when.

    Args:
        cycle: ``"epoch"`` changes the objective every epoch (published), ``"step"`` every step (so that a short run
            meets them all), ``"joint"`` takes the mean of the objectives in every step.
        cross_view: add the fourth objective, consistency of the two views on overlapping cells (not published).
        weights: weights that replace published ones, by objective, e.g. {"order": 1.0, "consistency": 0.1}.
        lengths: epochs (or steps) that each objective of the cycle lasts, one each as published. Shuffling learns
            most a second, so [1, 3, 1] suits small machines. Not for "joint".

    Raises:
        ValueError: for another ``cycle``, another number of lengths than objectives, or the weight of an
            objective that is not part of it.
    """
    if cycle not in _CYCLES:
        raise ValueError(f"unknown curriculum '{cycle}', valid values are {', '.join(_CYCLES)}.")
    phases = [dict(phase) for phase in OBJECTIVES]
    if cross_view:
        phases.append(dict(CROSS_VIEW_OBJECTIVES))
    unknown = sorted(set(weights or {}) - {name for phase in phases for name in phase})
    if unknown:
        names = ", ".join(name for phase in phases for name in phase)
        raise ValueError(f"weights for unknown objectives {unknown}; this curriculum has {names}.")
    phases = [{name: (weights or {}).get(name, weight) for name, weight in phase.items()} for phase in phases]
    if cycle == "joint":
        return Curriculum([{name: weight / len(phases) for phase in phases for name, weight in phase.items()}])
    if lengths is None or not len(lengths):
        lengths = [1] * len(phases)
    if len(lengths) != len(phases):
        raise ValueError(f"expected {len(phases)} lengths, one for each objective of the cycle, got {list(lengths)}.")
    return Curriculum([Phase(phase, length) for phase, length in zip(phases, lengths)], unit=cycle)
