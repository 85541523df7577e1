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

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import crop_cells, grid_of, join_cells, split_cells
from monai_lamps.transforms.cells import _gather_cells, _slice_cells, check_cell, check_offset


def image(batch: int, channels: int, grid: tuple[int, ...], cell: int) -> torch.Tensor:
    shape = (batch, channels, *(g * cell for g in grid))
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


@settings(max_examples=25, deadline=None)
@given(grid=st.lists(st.integers(1, 4), min_size=1, max_size=3), cell=st.integers(1, 4), channels=st.integers(1, 2))
def test_splitting_lists_cells_row_major_and_joining_undoes_it(grid: list[int], cell: int, channels: int) -> None:
    x = image(2, channels, tuple(grid), cell)
    cells = split_cells(x, cell)
    places = list(itertools.product(*map(range, grid)))
    assert cells.shape == (2, len(places), channels, *[cell] * len(grid))
    for j, place in enumerate(places):
        window = (slice(None), slice(None), *(slice(p * cell, (p + 1) * cell) for p in place))
        assert torch.equal(cells[:, j], x[window])
    assert torch.equal(join_cells(cells, grid), x)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), n=st.integers(1, 3), cell=st.integers(1, 3), size=st.integers(1, 3))
def test_slicing_and_gathering_give_the_same_crops(data: st.DataObject, n: int, cell: int, size: int) -> None:
    grid = tuple(size + data.draw(st.integers(0, 2)) for _ in range(n))
    x = image(2, 2, grid, cell)
    number = st.tuples(*(st.integers(0, g - size) for g in grid))
    offset = torch.tensor(data.draw(st.lists(st.lists(number, min_size=3, max_size=3), min_size=2, max_size=2)))
    sliced, gathered = _slice_cells(x, offset, cell, size), _gather_cells(x, offset, cell, size)
    assert sliced.shape == (2, 3, 2, *[size * cell] * n)
    assert torch.equal(sliced, gathered)


def test_gradients_flow_through_both_kinds_of_crops() -> None:
    offset = torch.tensor([[[0, 1]]])
    grads = []
    for crop in (_slice_cells, _gather_cells):
        x = image(1, 1, (3, 3), 2).requires_grad_()
        crop(x, offset, 2, 2).sum().backward()
        grads.append(x.grad)
    assert torch.equal(grads[0], grads[1])
    assert grads[0].sum() == 16


@pytest.mark.parametrize("cell", [0, -1, 1.5])
def test_a_cell_that_is_no_positive_whole_number_is_refused(cell: float) -> None:
    with pytest.raises(ValueError, match="positive whole number of px"):
        check_cell(cell)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(9, 8), (8, 0), (4, 8), ()])
def test_sides_that_are_no_multiple_of_the_cell_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="positive multiple of cell=8 px"):
        grid_of(shape, 8)


def test_a_grid_that_does_not_hold_the_cells_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4 cells of 2 dimensions do not fill a grid of \(3, 2\)"):
        join_cells(torch.zeros(1, 4, 1, 2, 2), (3, 2))


def test_wrong_offsets_are_refused() -> None:
    x = image(2, 1, (3, 3), 2)
    with pytest.raises(TypeError, match="offset must be an integer tensor"):
        crop_cells(x, torch.zeros(2, 1, 2), 2, 2)
    with pytest.raises(ValueError, match=r"offset must be \(B=2, V, n=2\)"):
        crop_cells(x, torch.zeros(1, 1, 2, dtype=torch.int64), 2, 2)
    with pytest.raises(ValueError, match="offset must have 2 numbers"):
        crop_cells(x, torch.zeros(2, 1, 3, dtype=torch.int64), 2, 2)
    with pytest.raises(ValueError, match="larger than the grid it is cut from by 1 cells"):
        crop_cells(x, torch.zeros(2, 1, 2, dtype=torch.int64), 2, 4)
    with pytest.raises(ValueError, match="at least one cell wide, got 0"):
        crop_cells(x, torch.zeros(2, 1, 2, dtype=torch.int64), 2, 0)
    for bad in (-1, 2):
        with pytest.raises(ValueError, match=r"offset must lie in \[0, \(1, 1\)\] cells"):
            check_offset(torch.tensor([0, bad]), [1, 1])
