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

import pytest

from monai_lamps.engines import Constant, Cosine, Progress
from monai_lamps.methods.adam import StageSchedule, adam_curriculum, granularities_of, granularity_at


def _at(epoch: int, epochs: int = 600, step: int = 0, steps_per_epoch: int = 4) -> Progress:
    return Progress.at(epoch * steps_per_epoch + step, steps_per_epoch, epochs)


def test_published_stages_are_whole_quarters_and_sixteenths_of_200_epochs_each() -> None:
    curriculum = adam_curriculum()
    assert curriculum.period == 600
    levels = [curriculum.settings(_at(epoch))["granularity"] for epoch in (0, 199, 200, 399, 400, 599)]
    assert levels == [0, 0, 2, 2, 4, 4]
    assert [granularity_at(curriculum, epoch) for epoch in (0, 199, 200, 599, 1000)] == [0, 0, 2, 4, 4]
    assert curriculum.weights(_at(300)) == {"contrast": 1.0}


def test_whole_images_are_contrasted_without_pruning() -> None:
    curriculum = adam_curriculum(threshold=0.7)
    assert [phase.settings["threshold"] for phase in curriculum.phases] == [None, 0.7, 0.7]


def test_stages_may_have_lengths_of_their_own_and_come_in_any_order() -> None:
    curriculum = adam_curriculum([4, 0, 4], [1, 2, 3], reset_queue=True)
    assert [granularity_at(curriculum, epoch) for epoch in range(6)] == [4, 0, 0, 4, 4, 4]
    assert granularities_of(curriculum) == [0, 4]
    assert all(phase.settings["reset_queue"] for phase in curriculum.phases)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"granularities": []}, r"granularities got none, expected at least one stage, as published \[0, 2, 4\]"),
        ({"granularities": [0, -1]}, "granularities got -1, expected whole numbers >= 0"),
        ({"granularities": [0.5]}, "granularities got 0.5, expected whole numbers >= 0"),
        ({"epochs": [1, 2]}, r"expected 3 lengths, one for each stage, got \[1, 2\]"),
    ],
)
def test_wrong_stages_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adam_curriculum(**arguments)


def test_every_stage_has_the_schedule_of_a_run_of_its_own() -> None:
    staged, alone = StageSchedule(adam_curriculum(epochs=3), Cosine(0.03, 0.0)), Cosine(0.03, 0.0)
    for stage in range(3):
        for epoch in range(3):
            for step in range(4):
                got = staged(_at(3 * stage + epoch, 9, step))
                assert got == pytest.approx(alone(_at(epoch, 3, step)))


def test_the_last_stage_lasts_to_the_end_of_the_run_and_a_short_run_ends_its_stage() -> None:
    staged, alone = StageSchedule(adam_curriculum(epochs=3), Cosine(1.0, 0.0)), Cosine(1.0, 0.0)
    assert staged(_at(8, 11)) == pytest.approx(alone(_at(2, 5)))
    assert staged(_at(4, 5)) == pytest.approx(alone(_at(1, 2)))
    assert StageSchedule(adam_curriculum(epochs=3), Constant(2.0))(_at(6, 6)) == 2.0
