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

from monai_lamps.metrics.anatomy.neighbours import neighbour_hits


def angles(*degrees: float) -> torch.Tensor:
    turn = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([turn.cos(), turn.sin()], dim=1)


def test_the_majority_of_the_nearest_decides() -> None:
    vectors, labels = angles(0, 1, 2, 3, 90, 91), torch.tensor([0, 1, 0, 0, 1, 1])
    hits = neighbour_hits(vectors, labels, torch.arange(6), 3)
    assert hits.tolist() == [1, 0, 1, 1, 0, 0]


def test_the_own_patient_never_votes() -> None:
    vectors, labels = angles(0, 1, 45, 46), torch.tensor([0, 0, 1, 1])
    assert neighbour_hits(vectors, labels, torch.arange(4), 1).tolist() == [1, 1, 1, 1]
    assert neighbour_hits(vectors, labels, torch.tensor([0, 0, 1, 1]), 1).tolist() == [0, 0, 0, 0]


def test_a_tie_goes_to_the_nearer_label() -> None:
    vectors, labels = angles(0, 2, 5, -9, 9), torch.tensor([1, 1, 0, 0, 1])
    assert neighbour_hits(vectors, labels, torch.arange(5), 2)[0] == 1
    assert neighbour_hits(vectors, 1 - labels, torch.arange(5), 2)[0] == 1
    assert neighbour_hits(vectors, torch.tensor([1, 0, 1, 1, 0]), torch.arange(5), 2)[0] == 0


def test_fewer_vote_where_fewer_are_there_and_nobody_without_another_patient() -> None:
    vectors, labels = angles(0, 1, 2), torch.tensor([0, 0, 1])
    assert neighbour_hits(vectors, labels, torch.tensor([0, 1, 1]), 50).tolist() == [1, 1, 0]
    assert neighbour_hits(vectors, labels, torch.zeros(3, dtype=torch.int64), 1).isnan().all()


def test_chunks_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(600, 4, generator=generator).double(), dim=1)
    labels, groups = torch.arange(600) % 5, torch.arange(600) // 3
    hits = neighbour_hits(vectors, labels, groups, 1)
    similar = (vectors @ vectors.T).masked_fill(groups[:, None] == groups, -2)
    assert torch.equal(hits, (labels[similar.argmax(1)] == labels).double())


def test_neighbours_below_1_are_refused() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0; 5 is usual"):
        neighbour_hits(angles(0, 1), torch.tensor([0, 1]), torch.arange(2), 0)
