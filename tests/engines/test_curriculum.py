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

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from monai_lamps.engines.curriculum import Curriculum, Phase
from monai_lamps.engines.progress import Progress
from monai_lamps.engines.schedules import Linear

LAMPS = [{"extrapolation": 1}, {"order": 0.1, "consistency": 1}, {"composition": 1, "decomposition": 1}]


def at_epoch(epoch: int, epochs: int = 1000) -> Progress:
    return Progress.at(epoch * 2 + 1, 2, epochs)


def test_lamps_cycles_through_three_one_epoch_phases() -> None:
    curriculum = Curriculum(LAMPS)
    for epoch in range(12):
        assert curriculum.weights(at_epoch(epoch)) == {k: float(v) for k, v in LAMPS[epoch % 3].items()}
    assert curriculum.objectives == ("extrapolation", "order", "consistency", "composition", "decomposition")
    assert curriculum.period == 3


def test_the_cycle_can_go_by_steps_and_run_jointly() -> None:
    by_step = Curriculum(LAMPS, unit="step")
    assert [by_step.phase_index(Progress.at(step, 4, 2)) for step in range(8)] == [0, 1, 2, 0, 1, 2, 0, 1]
    joint = Curriculum([{name: weight for phase in LAMPS for name, weight in phase.items()}])
    assert len(joint.weights(at_epoch(5))) == 5


def test_adam_moves_through_stages_and_stays_in_the_last() -> None:
    curriculum = Curriculum([Phase({"contrast": 1}, 200, {"granularity": n}) for n in (2, 4, 8)], repeat=False)
    epochs = (0, 199, 200, 399, 400, 599, 900)
    assert [curriculum.settings(at_epoch(epoch))["granularity"] for epoch in epochs] == [2, 2, 4, 4, 8, 8, 8]
    assert curriculum.weights(at_epoch(900)) == {"contrast": 1.0}


def test_radlas_fades_an_objective_in() -> None:
    curriculum = Curriculum([{"a": 1, "b": Linear(0, 0.5, end_epoch=10)}])
    assert curriculum.weights(Progress.at(0, 2, 20)) == {"a": 1.0}
    assert curriculum.weights(Progress.at(10, 2, 20)) == {"a": 1.0, "b": 0.25}
    assert curriculum.weights(Progress.at(39, 2, 20)) == {"a": 1.0, "b": 0.5}
    assert curriculum.objectives == ("a", "b")


def test_a_zero_weight_switches_an_objective_off_but_a_step_always_has_one() -> None:
    assert Curriculum([{"a": 1, "b": 0}]).weights(at_epoch(0)) == {"a": 1.0}
    assert Curriculum([{"a": 1, "b": 0}]).objectives == ("a",)
    assert Curriculum([{"a": Linear(0, 1), "b": 0}]).weights(Progress.at(0, 2, 2)) == {"a": 0.0}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 60), st.booleans())
def test_phases_follow_one_another_for_their_lengths(lengths: list[int], epoch: int, repeat: bool) -> None:
    curriculum = Curriculum([Phase({"a": 1}, length) for length in lengths], repeat=repeat)
    sequence = [index for index, length in enumerate(lengths) for _ in range(length)]
    expected = sequence[epoch % len(sequence)] if repeat else sequence[min(epoch, len(sequence) - 1)]
    assert curriculum.phase_index(at_epoch(epoch)) == expected


def test_it_is_written_in_json_also_with_lengths_and_schedules() -> None:
    phases = [
        {"order": 0.1, "b": {"_target_": "monai_lamps.engines.schedules.Linear", "start": 0, "end": 1}},
        {"weights": {"order": 1}, "length": 2, "settings": {"granularity": 4}},
    ]
    config = {"curriculum": {"_target_": "monai_lamps.engines.curriculum.Curriculum", "phases": phases}}
    curriculum = ConfigParser(config).get_parsed_content("curriculum")
    assert curriculum.weights(Progress.at(2, 2, 4)) == {"order": 1.0}
    assert curriculum.phases[1] == Phase({"order": 1}, 2, {"granularity": 4})
    assert curriculum.settings(Progress.at(2, 2, 4)) == {"granularity": 4}
    assert "Linear(start=0, end=1" in repr(curriculum)


def test_settings_are_a_copy() -> None:
    curriculum = Curriculum([Phase({"a": 1}, settings={"k": 1})])
    curriculum.settings(at_epoch(0))["k"] = 2
    assert curriculum.settings(at_epoch(0)) == {"k": 1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curriculum([]), "phases got none, expected at least one"),
        (lambda: Curriculum(LAMPS, unit="batch"), r"unit got 'batch', expected one of \['epoch', 'step'\]"),
        (lambda: Curriculum([{}]), "Phase weights got none, expected at least one objective"),
        (lambda: Curriculum([{"a": 0}]), "expected one above 0: a phase without objectives trains nothing"),
        (lambda: Curriculum([{"a": -1}]), "Weight of objective 'a' got -1, expected a finite number >= 0"),
        (lambda: Curriculum([{"a": math.nan}]), "Weight of objective 'a' got nan"),
        (lambda: Phase({"a": 1}, 0), "Phase length got 0, expected at least 1"),
        (lambda: Curriculum([{"weights": {"a": 1}, "lenght": 2}]), r"unknown keys \['lenght'\], expected only weights"),
        (
            lambda: Curriculum([{"a": lambda progress: -1.0}]).weights(at_epoch(0)),
            "Schedule of objective 'a' got -1.0 at step 1, expected a finite weight >= 0",
        ),
    ],
)
def test_ill_values_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curriculum(["order"]), "phase got 'order' of type str, expected a Phase or a mapping"),
        (lambda: Curriculum([{"a": "1"}]), "Weight of objective 'a' got '1', expected a number or a schedule"),
        (lambda: Phase({"a": 1}, 1.5), "Phase length got 1.5, expected a whole number"),
    ],
)
def test_ill_types_are_refused(make, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()
