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

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.engines.progress import Progress


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 50), st.integers(1, 20), st.data())
def test_every_step_has_one_place(steps_per_epoch: int, epochs: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps_per_epoch * epochs))
    progress = Progress.at(step, steps_per_epoch, epochs)
    assert progress.steps_per_epoch == steps_per_epoch
    assert 0 <= step - progress.epoch * steps_per_epoch < steps_per_epoch
    assert progress.fraction == pytest.approx(step / steps_per_epoch / epochs)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Progress.at(0, 1, 1).step = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((11, 1, 10, 2), "step got 11, expected 0 <= step <= total_steps=10"),
        ((-1, 0, 10, 2), "step got -1"),
        ((5, 0, 10, 2), "epoch got 0, expected 1 at step 5 with 5 steps per epoch"),
        ((0, 0, 0, 2), "total_steps got 0, expected a positive multiple of total_epochs=2"),
        ((0, 0, 11, 2), "total_steps got 11, expected a positive multiple"),
        ((0, 0, 10, 0), "total_epochs got 0, expected at least 1"),
    ],
)
def test_contradictions_are_refused(values: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Progress(*values)


def test_an_empty_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="steps_per_epoch got 0, expected at least 1"):
        Progress.at(0, 0, 3)
