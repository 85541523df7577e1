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
"""Adam-v2's stages: where things are first, then wholes and their parts as well; each from coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monai_lamps.engines import Curriculum, Phase, Progress

__all__ = ["OBJECTIVES", "adam_v2_curriculum", "stage_at", "stages_of"]

#: the published objectives with their weights; the first is alone in the warm-up
OBJECTIVES: dict[str, float] = {"localizability": 1.0, "composability": 1.0, "decomposability": 1.0}


def adam_v2_curriculum(
    granularities: Sequence[int] = (0, 1, 2),
    warm_up: Sequence[int] = (200, 200, 100),
    joint: Sequence[int] = (10, 90, 165),
    weights: Mapping[str, float] | None = None,
) -> Curriculum:
    """Adam-v2's stages (CVPR 2024), by epochs.

    A warm-up with localizability alone, then all objectives together; within both the regions become finer. A phase has
    the settings ``granularity`` g (regions have a 2**g-th of the image's sides) and ``joint``. The last one holds on.

    In the released code warm-up and joint training are two runs, each with its own learning rate schedule
    (:class:`~monai_lamps.methods.adam.StageSchedule` restarts it at every phase).

    Args:
        granularities: g of each phase, >= 0; published 0, 1, 2.
        warm_up: epochs of the warm-up in each granularity, published 200, 200, 100; 0 leaves it out.
        joint: epochs of joint training in each granularity, published 10, 90, 165; 0 leaves it out.
        weights: weights that replace the published 1 of all objectives, by objective. The warm-up keeps localizability
            also where its weight is 0.

    Raises:
        ValueError: when nothing is left, a granularity is negative or not whole, there is another number of lengths
            than of granularities, or a weight belongs to no objective.
    """
    for level in granularities:
        if isinstance(level, bool) or not isinstance(level, int) or level < 0:
            raise ValueError(f"granularities got {level!r}, expected whole numbers >= 0, as published [0, 1, 2].")
    unknown = sorted(set(weights or {}) - set(OBJECTIVES))
    if unknown:
        raise ValueError(f"weights for unknown objectives {unknown}; Adam-v2 has {list(OBJECTIVES)}.")
    objectives = {**OBJECTIVES, **(weights or {})}
    alone = {"localizability": objectives["localizability"] or 1.0}
    phases = []
    for name, lengths in {"warm_up": warm_up, "joint": joint}.items():
        if len(lengths) != len(granularities):
            raise ValueError(f"{name} got {list(lengths)}, expected {len(granularities)} lengths, one a granularity.")
        for level, length in zip(granularities, lengths):
            if length:
                settings = {"granularity": level, "joint": name == "joint"}
                phases.append(Phase(objectives if settings["joint"] else alone, length, settings))
    if not phases:
        raise ValueError("warm_up and joint leave no epoch; expected at least one length above 0.")
    return Curriculum(phases, repeat=False)


def stages_of(curriculum: Curriculum) -> list[tuple[int, bool]]:
    """Granularity of every phase, and whether it is joint."""
    return [(int(phase.settings["granularity"]), bool(phase.settings["joint"])) for phase in curriculum.phases]


def stage_at(curriculum: Curriculum, epoch: int) -> tuple[int, bool]:
    """Granularity in an epoch (0-based), and whether it is joint."""
    return stages_of(curriculum)[curriculum.phase_index(Progress.at(epoch, 1, epoch + 1))]
