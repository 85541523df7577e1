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

from typing import Any

import pytest

from monai_lamps.bundle import pick_shots

ITEMS = [{"image": f"{patient}_{view}.png", "patient": patient} for patient in "abcdefgh" for view in (0, 1)]


def _names(**kwargs: Any) -> list[str]:
    return [item["image"] for item in pick_shots(ITEMS, **kwargs)]


def test_all_images_are_taken_in_their_order_unless_asked_otherwise() -> None:
    assert pick_shots(ITEMS) == ITEMS


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_fewer_shots_are_contained_in_more_of_the_same_seed(seed: int) -> None:
    for fewer, more in [(1, 3), (3, 6), (6, 12), (12, 16)]:
        assert _names(shots=more, seed=seed)[:fewer] == _names(shots=fewer, seed=seed)
    assert sorted(_names(shots=16, seed=seed)) == sorted(item["image"] for item in ITEMS)


def test_shots_show_as_many_patients_as_there_can_be() -> None:
    assert len({name[0] for name in _names(shots=8)}) == 8
    assert all(name.endswith("_0.png") for name in _names(shots=8))
    assert sum(name.endswith("_1.png") for name in _names(shots=10)) == 2


def test_another_seed_picks_others() -> None:
    assert len({tuple(sorted(_names(shots=3, seed=seed))) for seed in range(10)}) > 5


def test_a_share_takes_whole_patients_nested_and_at_least_one() -> None:
    half = _names(share=0.5, seed=3)
    assert len(half) == 8
    assert len({name[0] for name in half}) == 4
    assert set(_names(share=0.25, seed=3)) < set(half)
    assert len(_names(share=0.01)) == 2


def test_an_image_without_a_patient_is_one_of_its_own() -> None:
    items = [{"image": "a.png"}, {"image": "b.png", "patient": ""}, {"image": "c.png", "patient": None}]
    assert len(pick_shots(items, share=0.4)) == 1
    assert len(pick_shots(items, shots=3)) == 3


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"shots": 17}, "shots got 17, but there are 16 labelled training images; give at most --shots 16"),
        ({"shots": -1}, "expected shots >= 0"),
        ({"share": 0.0}, "a share above 0"),
        ({"share": 1.2}, "at most 1"),
        ({"shots": 2, "share": 0.1}, "shots=2 and share=0.1 were both given"),
    ],
)
def test_impossible_picks_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pick_shots(ITEMS, **kwargs)
