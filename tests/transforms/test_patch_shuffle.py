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

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import (
    RandPatchShuffle,
    RandPatchShuffled,
    inverse_permutation,
    shuffle_cells,
    split_cells,
)


def permutations(batch: int, cells: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(cells, generator=generator) for _ in range(batch)])


@settings(max_examples=25, deadline=None)
@given(grid=st.lists(st.integers(1, 4), min_size=2, max_size=3), cell=st.integers(1, 3), seed=st.integers(0, 2**31 - 1))
def test_position_j_shows_cell_perm_j_and_the_inverse_restores_the_view(grid: list[int], cell: int, seed: int) -> None:
    shape = (3, 2, *(g * cell for g in grid))
    view = torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)
    perm = permutations(3, torch.Size(grid).numel(), seed)
    shuffled = shuffle_cells(view, perm, cell)
    before, after = split_cells(view, cell), split_cells(shuffled, cell)
    for sample in range(3):
        for j, source in enumerate(perm[sample].tolist()):
            assert torch.equal(after[sample, j], before[sample, source])
    inverse = inverse_permutation(perm)
    assert torch.equal(inverse, perm.argsort(1))
    assert torch.equal(shuffle_cells(shuffled, inverse, cell), view)


def test_shuffling_does_not_change_its_input() -> None:
    view = torch.rand(1, 1, 4, 4)
    before = view.clone()
    shuffle_cells(view, torch.tensor([[3, 2, 1, 0]]), 2)
    assert torch.equal(view, before)


@pytest.mark.parametrize("shape", [(1, 8, 6), (2, 4, 4, 6)])
def test_the_transform_keeps_its_permutation_and_repeats_under_one_seed(shape: tuple[int, ...]) -> None:
    img = np.random.RandomState(0).rand(*shape).astype(np.float32)
    first, second = (RandPatchShuffle(cell=2).set_random_state(7) for _ in range(2))
    out = first(img)
    assert sorted(first.permutation.tolist()) == list(range(len(first.permutation)))
    assert torch.equal(out, shuffle_cells(torch.as_tensor(img)[None], first.permutation[None], 2)[0])
    assert torch.equal(out, second(img))
    assert torch.equal(out, first(img, randomize=False))
    assert not torch.equal(out, first(img))


def test_with_probability_0_the_permutation_is_the_identity() -> None:
    img = torch.rand(1, 6, 6)
    transform = RandPatchShuffle(cell=2, prob=0.0)
    assert torch.equal(transform(img), img)
    assert transform.permutation.tolist() == list(range(9))


def test_with_probability_one_half_about_half_are_shuffled() -> None:
    transform, identity = RandPatchShuffle(cell=1, prob=0.5).set_random_state(0), 0
    for _ in range(400):
        transform.randomize(64)
        identity += int(torch.equal(transform.permutation, torch.arange(64)))
    assert 160 <= identity <= 240


def test_the_dictionary_form_shares_the_permutation_and_writes_it() -> None:
    img = torch.rand(1, 6, 6)
    out = RandPatchShuffled(["a", "b"], cell=2).set_random_state(3)({"a": img, "b": 2 * img})
    assert torch.equal(out["b"], 2 * out["a"])
    assert torch.equal(out["a"], shuffle_cells(img[None], out["permutation"][None], 2)[0])
    assert torch.equal(out["a"], RandPatchShuffle(2).set_random_state(3)(img))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"permutation must be \(B, N\) = \(1, 4\)"):
        shuffle_cells(torch.zeros(1, 1, 4, 4), torch.zeros(1, 9, dtype=torch.int64), 2)
    with pytest.raises(ValueError, match="positive multiple of cell=3 px"):
        RandPatchShuffle(cell=3)(torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"permutation must be \(B, N\), got \(4,\)"):
        inverse_permutation(torch.arange(4))
    with pytest.raises(RuntimeError, match="no permutation has been drawn yet"):
        RandPatchShuffle(cell=2)(torch.zeros(1, 4, 4), randomize=False)
    with pytest.raises(ValueError, match=r"permutation must be \(B, N\) = \(1, 9\)"):
        RandPatchShuffled(["a", "b"], cell=2)({"a": torch.zeros(1, 4, 4), "b": torch.zeros(1, 6, 6)})
