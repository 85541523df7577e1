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

from collections import Counter
from typing import Any

import pytest

from monai_lamps.bundle import pick_across_organs, pick_shots
from monai_lamps.data.organs import ColumnOrgans

ITEMS: list[dict[str, Any]] = [
    *({"image": f"chest_{n}.png", "patient": f"c{n // 2}", "organ": "Thorax", "view": "pa"} for n in range(20)),
    *({"image": f"jaw_{n}.png", "organ": "jaw"} for n in range(2)),
    *({"image": f"hand_{n}.png", "organ": "HAND_LT"} for n in range(6)),
]


def _picked(**options: Any) -> list[str]:
    return [str(item["image"]) for item in pick_across_organs(ITEMS, ColumnOrgans(), **options)]


def test_a_rare_organ_is_not_lost_beside_a_frequent_one() -> None:
    counts = Counter(name.split("_")[0] for name in _picked(count=12))
    assert counts == {"chest": 5, "jaw": 2, "hand": 5}
    assert len({int(name[6:-4]) // 2 for name in _picked(count=12) if name.startswith("chest")}) == 5  # one a patient


def test_what_an_image_shows_is_written_beside_it() -> None:
    first, *_, last = pick_across_organs(ITEMS, ColumnOrgans())
    assert (first["organ"], first["laterality"], first["view"]) == ("chest", "", "PA")
    assert (last["organ"], last["laterality"], last["view"]) == ("hand", "L", "")


def test_all_are_taken_in_their_order_on_demand() -> None:
    names = [item["image"] for item in ITEMS]
    assert _picked() == names
    assert sorted(_picked(count=99)) == sorted(names)


@pytest.mark.parametrize("seed", [0, 3])
def test_without_organs_it_picks_as_few_shots_do(seed: int) -> None:
    bare = [{"image": f"{n}.png", "patient": n // 2} for n in range(12)]
    picked = pick_across_organs(bare, ColumnOrgans(), 5, seed)
    assert [item["image"] for item in picked] == [item["image"] for item in pick_shots(bare, 5, seed=seed)]
    assert picked[0]["organ"] == ""


def test_smaller_picks_are_contained_in_larger_ones_and_seeds_differ() -> None:
    assert _picked(count=12)[:7] == _picked(count=7)
    assert len({tuple(_picked(count=3, seed=seed)) for seed in range(8)}) > 4


def test_a_number_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="count got -1, expected a number of radiographs, or 0 for all"):
        pick_across_organs(ITEMS, ColumnOrgans(), -1)
