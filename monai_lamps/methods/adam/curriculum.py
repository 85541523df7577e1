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

from collections.abc import Sequence
from dataclasses import dataclass

from monai_lamps.engines import Curriculum, Phase, Progress
from monai_lamps.engines.schedules import Schedule

__all__ = ["StageSchedule", "adam_curriculum", "granularities_of", "granularity_at"]


def adam_curriculum(
    granularities: Sequence[int] = (0, 2, 4),
    epochs: int | Sequence[int] = 200,
    reset_queue: bool = False,
    threshold: float | None = 0.8,
) -> Curriculum:
    """Adam's stages, from the whole to finer and finer parts of the anatomy (arXiv 2309.15358, section 2.2).

    A stage is a phase with the one objective ``contrast`` and the settings ``granularity`` n (parts are one of
    ``2**n``), ``threshold`` (the cosine from which on a negative is pruned, None for none) and ``reset_queue``. The
    last stage holds on. As released, whole images (n = 0) are contrasted without pruning: the loss of MoCo-v2.

    Args:
        granularities: n of each stage, >= 0; published 0, 2, 4.
        epochs: length of a stage, the same for all or one each; published 200.
        reset_queue: begin every stage with the random keys of the beginning. As published (False), the first
            K / batch steps of a stage have negatives of the stage before.
        threshold: the pruning of the stages with n > 0; published 0.8.

    Raises:
        ValueError: when there is no stage, a granularity is negative or not whole, or there is another number of
            lengths than of stages.
    """
    if not len(granularities):
        raise ValueError("granularities got none, expected at least one stage, as published [0, 2, 4].")
    for level in granularities:
        if isinstance(level, bool) or not isinstance(level, int) or level < 0:
            raise ValueError(f"granularities got {level!r}, expected whole numbers >= 0, as published [0, 2, 4].")
    lengths = [epochs] * len(granularities) if isinstance(epochs, int) else list(epochs)
    if len(lengths) != len(granularities):
        raise ValueError(f"expected {len(granularities)} lengths, one for each stage, got {lengths}.")
    stages = [
        Phase(
            {"contrast": 1.0},
            length,
            {"granularity": level, "threshold": threshold if level else None, "reset_queue": reset_queue},
        )
        for level, length in zip(granularities, lengths)
    ]
    return Curriculum(stages, repeat=False)


def granularities_of(curriculum: Curriculum) -> list[int]:
    """The granularities of a curriculum's stages, each once, from coarse to fine."""
    return sorted({int(phase.settings["granularity"]) for phase in curriculum.phases})


def granularity_at(curriculum: Curriculum, epoch: int) -> int:
    """The granularity in an epoch (0-based) of a curriculum by epochs."""
    return int(curriculum.settings(Progress.at(epoch, 1, epoch + 1))["granularity"])


@dataclass(frozen=True)
class StageSchedule:
    """A schedule that begins anew at every stage, as though each stage were a run of its own.

    The released code starts every stage as a new command, so its learning rate falls from 0.03 to 0 in each of them.
    The last stage lasts to the end of the run.

    Args:
        curriculum: the stages, by epochs.
        schedule: what holds within a stage.
    """

    curriculum: Curriculum
    schedule: Schedule

    def __call__(self, progress: Progress) -> float:
        index, phases = self.curriculum.phase_index(progress), self.curriculum.phases
        begin = sum(phase.length for phase in phases[:index])
        left = progress.total_epochs - begin
        epochs = left if index == len(phases) - 1 else min(phases[index].length, left)
        step = progress.step - begin * progress.steps_per_epoch
        return float(self.schedule(Progress.at(step, progress.steps_per_epoch, max(epochs, 1))))
