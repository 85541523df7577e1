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
import torch

from monai_lamps.bundle import largest_component, names_in_one_piece

STRUCTURES = ["heart", "left lung", "lesion"]


@pytest.fixture
def masks() -> torch.Tensor:
    """Of two structures a large part, a smaller one and a pixel at a corner of the large; of the third two pixels."""
    masks = torch.zeros(3, 16, 16, dtype=torch.bool)
    masks[:2, 2:8, 2:8] = masks[:2, 8, 8] = masks[:2, 12:14, 1:3] = True
    masks[2, 1, 1] = masks[2, 9, 9] = True
    return masks


@pytest.mark.parametrize(
    ("kept", "changed"),
    [(True, [0, 1, 2]), ("True", [0, 1, 2]), (["heart"], [0]), (("left lung", "heart"), [0, 1]), (["lesion"], [2])],
)
def test_only_the_largest_part_of_the_named_structures_stays(
    masks: torch.Tensor, kept: Any, changed: list[int]
) -> None:
    given = masks.clone()
    transform = largest_component(kept, STRUCTURES)
    assert transform is not None
    found = transform(masks.clone())
    assert [channel for channel in range(3) if not torch.equal(found[channel], given[channel])] == changed
    for channel in changed:
        assert found[channel].sum() == (37 if channel < 2 else 1)  # the corner belongs to it
        assert (given[channel] | ~found[channel]).all()


def test_names_come_in_the_order_of_the_structures() -> None:
    assert names_in_one_piece(["lesion", "heart"], STRUCTURES) == ["heart", "lesion"]
    assert names_in_one_piece(True, {"lungs": ["left lung", "right lung"]}) == ["lungs"]


def test_an_empty_mask_stays_empty() -> None:
    transform = largest_component(True, ["a", "b"])
    assert transform is not None
    assert not transform(torch.zeros(2, 8, 8, dtype=torch.bool)).any()


@pytest.mark.parametrize("kept", [False, "false", []])
def test_nothing_to_do_is_no_transform(kept: Any) -> None:
    assert largest_component(kept, STRUCTURES) is None


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["hart"], r"largest_component got \['hart'\], expected true, false, or names .*: heart, left lung, lesion"),
        ("heart", "largest_component got 'heart', expected true or false"),
    ],
)
def test_what_is_no_structure_is_refused(kept: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        largest_component(kept, STRUCTURES)
