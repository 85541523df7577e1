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

from monai_lamps.transforms import RandGridViews, RandGridViewsd, grid_views, overlap_index, split_cells


def numbered(batch: int, region: int, cell: int, n: int) -> torch.Tensor:
    shape = (batch, 1, *[region * cell] * n)
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


offsets = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(max_examples=25, deadline=None)
@given(a=offsets, b=offsets, cell=st.integers(1, 3))
def test_views_are_exact_slices_with_the_row_first(a: tuple[int, int], b: tuple[int, int], cell: int) -> None:
    region = numbered(2, 10, cell, 2)
    views = grid_views(region, torch.tensor([[a, b], [b, a]]), cell, 6)
    assert views.shape == (2, 2, 1, 6 * cell, 6 * cell)
    for sample, pair in enumerate(((a, b), (b, a))):
        for v, (row, column) in enumerate(pair):
            top, left, side = row * cell, column * cell, 6 * cell
            assert torch.equal(views[sample, v], region[sample, :, top : top + side, left : left + side])


def brute_force(offset_a: tuple[int, ...], offset_b: tuple[int, ...], grid: int) -> list[int]:
    cells = list(itertools.product(range(grid), repeat=len(offset_a)))
    place_b = {tuple(c + o for c, o in zip(cell, offset_b, strict=True)): i for i, cell in enumerate(cells)}
    return [place_b.get(tuple(c + o for c, o in zip(cell, offset_a, strict=True)), -1) for cell in cells]


def test_the_overlap_index_is_right_for_all_625_published_offset_pairs() -> None:
    single = list(itertools.product(range(5), repeat=2))
    pairs = list(itertools.product(single, single))
    assert len(pairs) == 625
    index = overlap_index(torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs]), 14)
    assert index.dtype == torch.int64
    assert index.tolist() == [brute_force(a, b, 14) for a, b in pairs]
    assert (index >= 0).sum(1).min() == 100  # 10 x 10 cells are always shared


def test_the_overlap_index_is_right_in_3d() -> None:
    single = list(itertools.product(range(3), repeat=3))
    pairs = list(itertools.product(single, single[::5]))
    index = overlap_index(torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs]), 4)
    assert index.tolist() == [brute_force(a, b, 4) for a, b in pairs]


@settings(max_examples=15, deadline=None)
@given(data=st.data(), n=st.integers(2, 3))
def test_overlapping_cells_of_two_views_are_equal_pixel_for_pixel(data: st.DataObject, n: int) -> None:
    region = numbered(2, 5, 2, n)
    number = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    offset = torch.tensor([[data.draw(number), data.draw(number)] for _ in range(2)])
    views = grid_views(region, offset, 2, 3)
    index = overlap_index(offset[:, 0], offset[:, 1], 3)
    for sample in range(2):
        a, b = split_cells(views[sample], 2)
        shared = index[sample] >= 0
        assert shared.any()
        assert torch.equal(a[shared], b[index[sample][shared]])
        for lonely in a[~shared]:
            assert not any(torch.equal(lonely, other) for other in b)


def test_the_transform_draws_each_offset_of_the_grid_and_cuts_what_it_reports() -> None:
    transform = RandGridViews(cell=2, region=5, view=3, views=2).set_random_state(0)
    region, seen = numbered(1, 5, 2, 2)[0], set()
    for _ in range(100):
        views = transform(region)
        seen |= {tuple(o) for o in transform.offset.tolist()}
        assert transform.offset.shape == (2, 2)
        assert torch.equal(torch.stack(views), grid_views(region[None], transform.offset[None], 2, 3)[0])
    assert seen == set(itertools.product(range(3), repeat=2))


def test_views_do_not_share_memory_with_the_region() -> None:
    region = torch.zeros(1, 10, 10)
    for view in RandGridViews(cell=2, region=5, view=5)(region):
        view += 1
    assert region.sum() == 0


def test_one_seed_gives_the_same_views_in_2d_and_3d() -> None:
    for region in (np.random.rand(1, 10, 10), np.random.rand(1, 10, 10, 10)):
        first, second = (RandGridViews(cell=2, region=5, view=3, views=3).set_random_state(1) for _ in range(2))
        views = first(region)
        assert len(views) == 3
        for a, b, again in zip(views, second(region), first(region, randomize=False), strict=True):
            assert a.shape == (1, *[6] * (region.ndim - 1))
            assert torch.equal(a, b)
            assert torch.equal(a, again)


def test_the_dictionary_form_shares_offsets_between_keys_and_writes_them() -> None:
    region = numbered(1, 5, 2, 2)[0]
    transform = RandGridViewsd(["image", "label"], cell=2, region=5, view=3).set_random_state(2)
    out = transform({"image": region, "label": -region})
    assert set(out) == {"image", "label", "image_view0", "image_view1", "label_view0", "label_view1", "view_offset"}
    assert torch.equal(out["image"], region)
    for i in range(2):
        assert torch.equal(out[f"image_view{i}"], -out[f"label_view{i}"])
    expected = grid_views(region[None], out["view_offset"][None], 2, 3)[0]
    assert torch.equal(torch.stack([out["image_view0"], out["image_view1"]]), expected)
    assert torch.equal(RandGridViews(2, 5, 3).set_random_state(2)(region)[0], out["image_view0"])


def test_names_of_the_dictionary_form_can_be_set() -> None:
    transform = RandGridViewsd("image", cell=2, region=5, view=3, views=1, postfix="crop", offset_key="where")
    assert set(transform({"image": torch.zeros(1, 10, 10)})) == {"image", "image_crop0", "where"}


def test_wrong_sizes_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 <= view <= region"):
        RandGridViews(cell=2, region=5, view=6)
    with pytest.raises(ValueError, match="at least one view"):
        RandGridViews(cell=2, views=0)
    with pytest.raises(ValueError, match=r"the region must be 10 px along each axis .* got \(10, 12\)"):
        RandGridViews(cell=2, region=5, view=3)(torch.zeros(1, 10, 12))
    with pytest.raises(RuntimeError, match="no offset has been drawn yet"):
        RandGridViews(cell=2, region=5, view=3)(torch.zeros(1, 10, 10), randomize=False)
    drawn_in_2d = RandGridViews(cell=2, region=5, view=3)
    drawn_in_2d.randomize(2)
    with pytest.raises(ValueError, match="offset must have 3 numbers"):
        drawn_in_2d(torch.zeros(1, 10, 10, 10), randomize=False)
    with pytest.raises(ValueError, match=r"both offsets must be \(B, n\)"):
        overlap_index(torch.zeros(2, 2, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.int64), 3)
    with pytest.raises(ValueError, match="grid must be at least one cell"):
        overlap_index(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.int64), 0)
    with pytest.raises(ValueError, match="offset must lie in"):
        grid_views(torch.zeros(1, 1, 10, 10), torch.tensor([[[3, 0]]]), 2, 3)
