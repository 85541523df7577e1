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

import copy
import pickle

import numpy as np
import pytest
from monai.transforms import Compose, Randomizable

from monai_lamps.transforms import RandGridRegion, RandGridRegiond, Reseeded


class _Draw(Reseeded):
    pass


class _Plain(Randomizable):
    pass


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**40])
def test_it_draws_the_numbers_of_monai_however_often_it_is_seeded(seed: int) -> None:
    ours = _Draw()
    for other in (3, seed):
        ours.set_random_state(seed=other).R.uniform(size=3)
        ours.set_random_state(seed=other)
        expected = _Plain().set_random_state(seed=other).R.uniform(size=5)
        np.testing.assert_array_equal(ours.R.uniform(size=5), expected)


def test_seeding_again_makes_no_new_generator_and_leaves_the_one_of_the_class_alone() -> None:
    draw, shared = _Draw(), Randomizable.R
    before = shared.get_state()[1].copy()
    first = draw.set_random_state(seed=1).R
    assert first is not shared
    assert draw.set_random_state(seed=2).R is first
    np.testing.assert_array_equal(shared.get_state()[1], before)


def test_a_generator_of_the_caller_is_used_but_never_seeded() -> None:
    draw, state = _Draw().set_random_state(seed=1), np.random.RandomState(5)
    draw.set_random_state(state=state)
    assert draw.R is state
    draw.set_random_state(seed=1)
    assert draw.R is not state
    np.testing.assert_array_equal(state.uniform(size=3), np.random.RandomState(5).uniform(size=3))


def test_without_seed_and_state_the_numbers_differ_from_call_to_call() -> None:
    draw = _Draw().set_random_state(seed=1)
    first, second = (draw.set_random_state().R.uniform(size=4) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda draw: pickle.loads(pickle.dumps(draw))])
def test_a_copy_has_a_generator_of_its_own(copied: object) -> None:
    draw = _Draw().set_random_state(seed=1)
    other = copied(draw)  # type: ignore[operator]
    other.set_random_state(seed=2)
    np.testing.assert_array_equal(draw.R.uniform(size=3), np.random.RandomState(1).uniform(size=3))
    np.testing.assert_array_equal(other.R.uniform(size=3), np.random.RandomState(2).uniform(size=3))


def test_the_region_and_its_dictionary_form_stay_in_step_with_compose() -> None:
    region = RandGridRegiond("image", 8, 4)
    compose = Compose([region, RandGridRegion(8, 4)])
    boxes = []
    for _ in range(2):
        compose.set_random_state(seed=3)
        region.region.randomize((64, 64))
        boxes.append(region.region.box)
    assert boxes[0] == boxes[1]
    assert region.region.R is region.R
