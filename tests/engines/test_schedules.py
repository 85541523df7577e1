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
import warnings

import pytest
from monai.bundle import ConfigParser

from monai_lamps.engines.progress import Progress
from monai_lamps.engines.schedules import Constant, Cosine, Linear, as_schedule, scaled_lr


def values(schedule, steps_per_epoch: int, epochs: int) -> list[float]:
    return [schedule(Progress.at(step, steps_per_epoch, epochs)) for step in range(steps_per_epoch * epochs + 1)]


def test_constant_holds() -> None:
    assert values(Constant(0.3), 2, 2) == [0.3] * 5


def test_cosine_is_the_published_formula_after_a_linear_warm_up() -> None:
    got = values(Cosine(5e-4, 1e-6, warmup_epochs=2, warmup_start=1e-5), steps_per_epoch=5, epochs=6)
    for step, value in enumerate(got):
        if step < 10:
            expected = 1e-5 + (5e-4 - 1e-5) * step / 10
        else:
            expected = 1e-6 + 0.5 * (5e-4 - 1e-6) * (1 + math.cos(math.pi * (step - 10) / 20))
        assert value == pytest.approx(expected, rel=1e-12)
    assert (got[0], got[10], got[30]) == pytest.approx((1e-5, 5e-4, 1e-6))


def test_cosine_rises_from_start_to_end_for_the_teacher_momentum() -> None:
    got = values(Cosine(0.996, 1.0), 3, 4)
    assert got == sorted(got)
    assert (got[0], got[6], got[12]) == pytest.approx((0.996, 0.998, 1.0))


def test_a_warm_up_as_long_as_the_run_is_all_warm_up_and_warns() -> None:
    with pytest.warns(UserWarning, match="warmup_epochs=10 is not shorter than the run of 2 epochs"):
        assert values(Cosine(1.0, 0.0, warmup_epochs=10), 2, 2) == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    with pytest.warns(UserWarning, match="shorten the warm-up"):
        assert values(Cosine(1.0, 0.0, warmup_epochs=2), 2, 2)[-1] == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values(Cosine(1.0, 0.0, warmup_epochs=1.5), 2, 2)


def test_linear_holds_before_and_after_its_ramp() -> None:
    assert values(Linear(0.0, 1.0, 1, 3), 2, 4) == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1])
    assert values(Linear(2, 1), 1, 4) == pytest.approx([2, 1.75, 1.5, 1.25, 1])
    assert values(Linear(0.0, 1.0, 9), 1, 3) == [0, 0, 0, 0]
    assert values(Linear(0.0, 1.0, 0, 0.5), 2, 1) == [0, 1, 1]


def test_schedules_are_values_that_json_can_write() -> None:
    config = {"lr": {"_target_": "monai_lamps.engines.schedules.Cosine", "start": 0.1, "end": 0, "warmup_epochs": 1}}
    parser = ConfigParser(config)
    assert parser.get_parsed_content("lr") == Cosine(0.1, 0, 1)
    assert repr(Linear(0, 1, end_epoch=3)) == "Linear(start=0, end=1, begin_epoch=0, end_epoch=3)"


def test_a_number_becomes_a_constant_and_a_schedule_stays() -> None:
    schedule = Linear(0, 1)
    assert as_schedule(schedule) is schedule
    assert as_schedule(2) == Constant(2)
    with pytest.raises(TypeError, match="value got 'x' of type str, expected a number"):
        as_schedule("x")  # type: ignore[arg-type]


def test_the_learning_rate_scales_with_the_batch() -> None:
    assert scaled_lr(5e-4, 16) == pytest.approx(3.125e-5)
    assert scaled_lr(1e-3, 64, reference=32) == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(math.nan), "value got nan, expected a finite number"),
        (lambda: Cosine(math.inf, 0), "start got inf, expected a finite number"),
        (lambda: Cosine(1, 0, warmup_epochs=-1), "warmup_epochs got -1, expected >= 0"),
        (lambda: Linear(0, math.nan), "end got nan"),
        (lambda: Linear(0, 1, -1), "begin_epoch got -1, expected >= 0"),
        (lambda: Linear(0, 1, 2, 2), "end_epoch got 2, expected > begin_epoch=2"),
        (lambda: scaled_lr(0.0, 8), "base got 0.0, expected > 0"),
        (lambda: scaled_lr(0.1, 0), "batch got 0, expected > 0"),
        (lambda: scaled_lr(0.1, 8, -1), "reference got -1, expected > 0"),
    ],
)
def test_ill_values_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("value", [True, "0.1", None])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"start got .* expected a number"):
        Cosine(value, 0.0)  # type: ignore[arg-type]
