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
import torch

from monai_lamps.tasks.evidence_boxes import evidence_boxes


def test_regions_are_found_strongest_first() -> None:
    evidence = torch.full((12, 20), 0.1)
    evidence[1:3, 2:4] = 0.9  # sum 3.6
    evidence[6:10, 10:16] = 0.6  # sum 14.4
    first, second = evidence_boxes(evidence, 0.5)
    assert (first.x, first.y, first.width, first.height) == (10, 6, 6, 4)
    assert first.score == pytest.approx(0.6)
    assert (second.x, second.y, second.width, second.height) == (2, 1, 2, 2)
    assert second.score == pytest.approx(0.9)
    assert torch.equal(second.region, evidence > 0.8)
    assert len(evidence_boxes(evidence, 0.5, count=1)) == 1
    assert evidence_boxes(evidence, 0.5, count=0) == []
    assert evidence_boxes(evidence, 0.95) == []


def test_corners_connect_and_the_threshold_is_inclusive() -> None:
    evidence = torch.eye(4) * 0.5
    (box,) = evidence_boxes(evidence, 0.5)
    assert (box.x, box.y, box.width, box.height, box.score) == (0, 0, 4, 4, 0.5)
    assert int(box.region.sum()) == 4


def test_boxes_are_enlarged_outwards_and_stay_inside() -> None:
    evidence = torch.zeros(4, 4)
    evidence[1, 2:] = 1
    (box,) = evidence_boxes(evidence)
    assert box.scaled((40, 80)) == (40, 10, 40, 10)
    assert box.scaled((6, 10)) == (5, 1, 5, 2)  # rows 1.5 to 3, columns 5 to 10


@pytest.mark.parametrize("arguments", [{"threshold": 0.0}, {"threshold": 1.5}, {"count": -1}])
def test_ill_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"threshold got .* and count .*, expected above 0 and at most 1, and >= 0"):
        evidence_boxes(torch.zeros(4, 4), **arguments)


def test_a_map_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"expected a map \(H, W\), got \(1, 4, 4\)"):
        evidence_boxes(torch.zeros(1, 4, 4))
