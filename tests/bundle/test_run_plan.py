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
from hypothesis import given
from hypothesis import strategies as st

from monai_lamps.bundle import RepeatedItems, RunPlan, plan_run
from monai_lamps.data import PackedItems

ITEMS = [{"image": f"{number}.png"} for number in range(5)]


@pytest.mark.parametrize(
    ("images", "expected"),
    [(100, RunPlan(10, 100)), (8, RunPlan(10, 8)), (3, RunPlan(10, 8))],
)
def test_by_epochs_every_image_is_shown_once_and_few_are_repeated_to_fill_a_batch(
    images: int, expected: RunPlan
) -> None:
    assert plan_run(images, 8, epochs=10) == expected


@pytest.mark.parametrize(
    ("images", "steps", "expected"),
    [
        (3, 400, RunPlan(16, 200)),  # 25 steps an epoch
        (3, 10, RunPlan(1, 80)),  # fewer steps than an epoch has
        (3, 60, RunPlan(2, 240)),  # 30 steps an epoch
        (3, 61, RunPlan(2, 248)),  # rounded up to whole epochs
        (1000, 400, RunPlan(3, 1072)),  # 125 steps for all images, so three epochs of 134
        (1000, 375, RunPlan(3, 1000)),  # exactly three looks at all images
        (1000, 50, RunPlan(1, 400)),  # not even one look at all images
    ],
)
def test_by_steps_an_epoch_is_not_shorter_than_asked(images: int, steps: int, expected: RunPlan) -> None:
    assert plan_run(images, 8, epochs=999, steps=steps) == expected


@given(st.integers(1, 300), st.integers(1, 16), st.integers(1, 500), st.integers(1, 40))
def test_the_steps_are_those_asked_for_rounded_up_to_whole_epochs(
    images: int, batch_size: int, steps: int, epoch_steps: int
) -> None:
    plan = plan_run(images, batch_size, epochs=1, steps=steps, epoch_steps=epoch_steps)
    planned = plan.epochs * (plan.samples // batch_size)
    assert steps <= planned < steps + plan.epochs
    assert plan.samples >= min(images - batch_size + 1, steps * batch_size)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"images": 0}, "there is no training image"),
        ({"batch_size": 0}, "batch_size got 0, expected at least 1"),
        ({"epochs": 0}, "epochs got 0, expected at least 1; or give --steps"),
        ({"steps": -1}, "steps got -1"),
        ({"steps": 5, "epoch_steps": 0}, "epoch_steps got 0"),
    ],
)
def test_impossible_plans_are_refused(kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_run(**{"images": 10, "batch_size": 4, "epochs": 1, **kwargs})


def test_items_are_repeated_in_turn() -> None:
    items = RepeatedItems(PackedItems(ITEMS), 12)
    assert len(items) == 12
    assert [item["image"] for item in items] == [f"{number % 5}.png" for number in range(12)]
    assert items[-1] == items[11] == ITEMS[1]
    assert items[4:6] == [ITEMS[4], ITEMS[0]]


def test_fewer_items_are_a_choice_that_the_seed_decides() -> None:
    choices = [tuple(item["image"] for item in RepeatedItems(ITEMS, 2, seed)) for seed in range(10)]
    assert len(set(choices)) > 3
    assert all(len(set(choice)) == 2 for choice in choices)
    assert choices[0] == tuple(item["image"] for item in RepeatedItems(ITEMS, 2, 0))


def test_nothing_cannot_be_repeated() -> None:
    with pytest.raises(ValueError, match="length got 3 for 0 items"):
        RepeatedItems([], 3)
    with pytest.raises(IndexError, match="index got 3, expected one below 3"):
        RepeatedItems(ITEMS, 3)[3]
