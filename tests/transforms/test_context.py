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

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import RandContextWindow, RandContextWindowd, context_window, split_cells, window_mask


def test_the_published_window_shows_121_of_196_cells_at_each_of_16_places() -> None:
    offset = torch.tensor(list(itertools.product(range(4), repeat=2)))
    mask = window_mask(offset, 14, 11)
    assert mask.shape == (16, 196)
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [121] * 16
    for (row, column), cells in zip(offset.tolist(), mask.view(16, 14, 14), strict=True):
        assert cells[row : row + 11, column : column + 11].all()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), n=st.integers(1, 3), cell=st.integers(1, 3), window=st.integers(1, 3))
def test_the_crop_holds_exactly_the_cells_that_the_mask_shows(
    data: st.DataObject, n: int, cell: int, window: int
) -> None:
    grid = window + data.draw(st.integers(0, 2))
    number = st.lists(st.integers(0, grid - window), min_size=n, max_size=n)
    offset = torch.tensor([data.draw(number), data.draw(number)])
    view = torch.arange(2 * (grid * cell) ** n, dtype=torch.float32).view(2, 1, *[grid * cell] * n)
    mask, crop = window_mask(offset, grid, window), context_window(view, offset, cell, window)
    assert crop.shape == (2, 1, *[window * cell] * n)
    for sample in range(2):
        visible = split_cells(view, cell)[sample][mask[sample]]
        assert torch.equal(split_cells(crop, cell)[sample], visible)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_transform_cuts_what_it_reports_and_repeats_under_one_seed(spatial_dims: int) -> None:
    view = np.random.RandomState(0).rand(1, *[8] * spatial_dims).astype(np.float32)
    first, second = (RandContextWindow(cell=2, grid=4, window=3).set_random_state(4) for _ in range(2))
    crop = first(view)
    assert torch.equal(crop, context_window(torch.as_tensor(view)[None], first.offset[None], 2, 3)[0])
    assert torch.equal(first.mask, window_mask(first.offset[None], 4, 3)[0])
    assert torch.equal(crop, second(view))
    assert torch.equal(crop, first(view, randomize=False))


def test_each_place_of_the_window_is_drawn() -> None:
    transform, seen = RandContextWindow(cell=1, grid=4, window=2).set_random_state(0), set()
    for _ in range(150):
        transform.randomize(2)
        seen.add(tuple(transform.offset.tolist()))
    assert seen == set(itertools.product(range(3), repeat=2))


def test_the_dictionary_form_shares_the_window_between_keys_and_writes_it() -> None:
    view = torch.rand(1, 8, 8)
    transform = RandContextWindowd(["a", "b"], cell=2, grid=4, window=3).set_random_state(1)
    out = transform({"a": view, "b": 2 * view})
    assert set(out) == {"a", "b", "a_window", "b_window", "window_offset", "window_mask"}
    assert torch.equal(out["b_window"], 2 * out["a_window"])
    assert torch.equal(out["a"], view)
    assert torch.equal(out["window_mask"], window_mask(out["window_offset"][None], 4, 3)[0])
    assert torch.equal(out["a_window"], RandContextWindow(2, 4, 3).set_random_state(1)(view))


def test_wrong_sizes_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 <= window <= grid"):
        RandContextWindow(cell=2, grid=3, window=4)
    with pytest.raises(ValueError, match=r"the view must be 8 px along each axis .* got \(8, 6\)"):
        RandContextWindow(cell=2, grid=4, window=3)(torch.zeros(1, 8, 6))
    with pytest.raises(RuntimeError, match="no offset has been drawn yet"):
        RandContextWindow(cell=2, grid=4, window=3)(torch.zeros(1, 8, 8), randomize=False)
    with pytest.raises(ValueError, match=r"offset must be \(B, n\)"):
        window_mask(torch.zeros(2, dtype=torch.int64), 4, 3)
    with pytest.raises(ValueError, match=r"offset must be \(B, n\)"):
        context_window(torch.zeros(1, 1, 8, 8), torch.zeros(2, dtype=torch.int64), 2, 3)
    with pytest.raises(ValueError, match="window must be at least one cell"):
        window_mask(torch.zeros(1, 2, dtype=torch.int64), 4, 0)
    with pytest.raises(ValueError, match="offset must lie in"):
        window_mask(torch.tensor([[0, 2]]), 4, 3)
    with pytest.raises(TypeError, match="offset must be an integer tensor"):
        window_mask(torch.zeros(1, 2), 4, 3)
