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

from monai_lamps.engines import Progress
from monai_lamps.methods.lamps import lamps_curriculum


def _active(curriculum, steps: int, steps_per_epoch: int) -> list[dict[str, float]]:  # type: ignore[no-untyped-def]
    return [curriculum.weights(Progress.at(step, steps_per_epoch, steps)) for step in range(steps)]


def test_published_weights_cycle_by_epoch() -> None:
    active = _active(lamps_curriculum(), 8, 2)
    assert active[0] == active[1] == active[6] == {"extrapolation": 1.0}
    assert active[2] == active[3] == {"order": 0.1, "consistency": 1.0}
    assert active[4] == active[5] == {"composition": 1.0, "decomposition": 1.0}


def test_the_fourth_objective_makes_a_cycle_of_four() -> None:
    active = _active(lamps_curriculum("step", cross_view=True), 8, 100)
    assert active[3] == active[7] == {"global_view": 0.1, "local_view": 1.0}


def test_joint_is_the_mean_over_objectives() -> None:
    weights = lamps_curriculum("joint").weights(Progress.at(5, 10, 1))
    assert weights == {
        "extrapolation": 1 / 3,
        "order": 0.1 / 3,
        "consistency": 1 / 3,
        "composition": 1 / 3,
        "decomposition": 1 / 3,
    }


def test_lengths_repeat_an_objective_within_the_cycle() -> None:
    active = [set(weights) for weights in _active(lamps_curriculum("step", lengths=[1, 3, 1]), 10, 100)]
    shuffle = {"order", "consistency"}
    assert active[1:4] == [shuffle] * 3 == active[6:9]
    assert active[0] == active[5] == {"extrapolation"}


def test_given_weights_replace_published_ones() -> None:
    curriculum = lamps_curriculum("step", weights={"order": 1.0})
    assert curriculum.weights(Progress.at(1, 10, 1)) == {"order": 1.0, "consistency": 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cycle": "weekly"}, "unknown curriculum 'weekly', valid values are epoch, step, joint"),
        ({"weights": {"jigsaw": 1.0}}, r"unknown objectives \['jigsaw'\]; this curriculum has extrapolation, order"),
        ({"weights": {"local_view": 1.0}}, r"unknown objectives \['local_view'\]"),
        ({"lengths": [1, 2]}, r"expected 3 lengths, one for each objective of the cycle, got \[1, 2\]"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lamps_curriculum(**arguments)
