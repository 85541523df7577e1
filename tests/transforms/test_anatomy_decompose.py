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
from monai.data import MetaTensor

from monai_lamps.transforms import AnatomyDecompose, AnatomyDecomposed, anatomy_hierarchy, decomposition_boxes

shapes = st.lists(st.integers(16, 60), min_size=1, max_size=3).map(tuple)
levels = st.integers(0, 4)


def paint(shape: tuple[int, ...], boxes: np.ndarray) -> np.ndarray:
    """How many boxes cover each pixel."""
    count = np.zeros(shape, dtype=int)
    for box in boxes:
        count[tuple(slice(start, stop) for start, stop in box)] += 1
    return count


@settings(max_examples=40, deadline=None)
@given(shape=shapes, level=levels)
def test_the_parts_cover_every_pixel_exactly_once(shape: tuple[int, ...], level: int) -> None:
    boxes = decomposition_boxes(shape, level)
    assert boxes.shape == (2**level, len(shape), 2)
    assert boxes.dtype == np.int64
    assert (paint(shape, boxes) == 1).all()


@settings(max_examples=40, deadline=None)
@given(shape=shapes, level=levels)
def test_the_sides_of_the_parts_differ_by_one_pixel_at_most(shape: tuple[int, ...], level: int) -> None:
    lengths = np.diff(decomposition_boxes(shape, level), axis=-1)[..., 0]
    assert (lengths.max(axis=0) - lengths.min(axis=0) <= 1).all()


@settings(max_examples=40, deadline=None)
@given(shape=shapes, level=st.integers(0, 3))
def test_part_p_is_made_of_parts_2p_and_2p_plus_1_of_the_next_level(shape: tuple[int, ...], level: int) -> None:
    coarse, fine = decomposition_boxes(shape, level), decomposition_boxes(shape, level + 1)
    axis = len(shape) - 1 - level % len(shape)
    for p, box in enumerate(coarse):
        first, second = fine[2 * p], fine[2 * p + 1]
        assert first[axis, 1] == second[axis, 0]
        assert first[axis, 0] == box[axis, 0]
        assert second[axis, 1] == box[axis, 1]
        others = [k for k in range(len(shape)) if k != axis]
        assert (first[others] == box[others]).all()
        assert (second[others] == box[others]).all()


@pytest.mark.parametrize("level", [0, 2, 4])
def test_the_levels_that_adam_trains_are_the_released_grids(level: int) -> None:
    side = max(level, 1)
    cell = 48 // side
    grid = {((r * cell, (r + 1) * cell), (c * cell, (c + 1) * cell)) for r in range(side) for c in range(side)}
    found = {tuple(map(tuple, box)) for box in decomposition_boxes((48, 48), level).tolist()}
    assert found == grid


def test_the_first_cut_is_vertical_and_the_second_horizontal() -> None:
    assert decomposition_boxes((10, 8), 1).tolist() == [[[0, 10], [0, 4]], [[0, 10], [4, 8]]]
    assert decomposition_boxes((10, 8), 2).tolist() == [
        [[0, 5], [0, 4]],
        [[5, 10], [0, 4]],
        [[0, 5], [4, 8]],
        [[5, 10], [4, 8]],
    ]


def test_an_odd_level_has_twice_as_many_columns_as_rows() -> None:
    boxes = decomposition_boxes((16, 16), 3)
    assert len(np.unique(boxes[:, 1, 0])) == 4
    assert len(np.unique(boxes[:, 0, 0])) == 2


def test_a_volume_is_halved_along_each_axis_in_turn_from_the_last_to_the_first() -> None:
    boxes = decomposition_boxes((4, 8, 16), 4)
    assert [len(np.unique(boxes[:, axis, 0])) for axis in range(3)] == [2, 2, 4]
    assert decomposition_boxes((4, 8, 16), 3)[1].tolist() == [[2, 4], [0, 4], [0, 8]]


@settings(max_examples=20, deadline=None)
@given(shape=shapes, level=levels)
def test_the_hierarchy_is_a_heap_whose_children_are_the_halves_of_their_parent(
    shape: tuple[int, ...], level: int
) -> None:
    tree = anatomy_hierarchy(shape, level)
    assert len(tree) == 2 ** (level + 1) - 1
    assert tree[0].parent is None
    assert tree[0].box == tuple((0, side) for side in shape)
    for position, part in enumerate(tree):
        assert position == 2**part.level - 1 + part.index
        assert part.box == tuple(map(tuple, decomposition_boxes(shape, part.level)[part.index].tolist()))
        assert len(part.children) == (0 if part.level == level else 2)
        for child in part.children:
            assert tree[child].parent == position
            assert tree[child].level == part.level + 1


def test_a_part_of_the_hierarchy_indexes_images_and_batches() -> None:
    part = anatomy_hierarchy((4, 6), 2)[4]
    image = torch.rand(2, 1, 4, 6)
    assert torch.equal(image[part.slices], image[:, :, 2:4, 0:3])
    assert torch.equal(image[0][part.slices], image[0, :, 2:4, 0:3])


@pytest.mark.parametrize("shape", [(9,), (7, 10), (8, 9, 5)])
def test_the_transform_cuts_the_boxes_out_and_keeps_the_type(shape: tuple[int, ...]) -> None:
    image = torch.randint(0, 255, (2, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    parts = AnatomyDecompose(2)(image)
    assert len(parts) == 4
    for part, box in zip(parts, decomposition_boxes(shape, 2), strict=True):
        assert type(part) is torch.Tensor
        assert part.dtype == torch.uint8
        assert torch.equal(part, image[(slice(None), *(slice(a, b) for a, b in box))])
    for part, other in zip(parts, AnatomyDecompose(2)(image.numpy()), strict=True):
        assert torch.equal(part, other)


def test_level_0_is_the_whole_image() -> None:
    image = torch.rand(1, 5, 7)
    (whole,) = AnatomyDecompose(0)(image)
    assert torch.equal(whole, image)


def test_a_part_of_a_metatensor_lies_where_it_did_in_the_world() -> None:
    affine = torch.diag(torch.tensor([2.0, 3.0, 1.0, 1.0], dtype=torch.float64))
    affine[:2, 3] = torch.tensor([10.0, 20.0])
    image = MetaTensor(torch.rand(1, 8, 12), affine=affine, meta={"filename_or_obj": "a.png"})
    part = AnatomyDecompose(2)(image)[3]
    assert isinstance(part, MetaTensor)
    assert torch.equal(part.as_tensor(), image.as_tensor()[:, 4:, 6:])
    assert part.affine[:2, 3].tolist() == [10 + 2 * 4, 20 + 3 * 6]
    assert part.meta["filename_or_obj"] == "a.png"
    assert image.affine[:2, 3].tolist() == [10, 20]


def test_the_dictionary_form_writes_the_parts_and_boxes_of_every_key() -> None:
    image, label = torch.rand(1, 8, 8), torch.zeros(1, 4, 6, dtype=torch.uint8)
    out = AnatomyDecomposed(["image", "label"], level=1, postfix="half")({"image": image, "label": label})
    assert torch.equal(out["image"], image)
    assert torch.equal(torch.cat([out["image_half0"], out["image_half1"]], dim=2), image)
    assert out["label_half1"].shape == (1, 4, 3)
    assert out["label_half_box"].tolist() == [[[0, 4], [0, 3]], [[0, 4], [3, 6]]]
    assert out["label_half_box"].dtype == torch.int64


def test_absent_keys_are_skipped_when_allowed() -> None:
    assert AnatomyDecomposed("image", level=1, allow_missing_keys=True)({"name": 1}) == {"name": 1}


def test_what_cannot_be_decomposed_is_refused() -> None:
    for level in (-1, 1.5):
        with pytest.raises(ValueError, match=f"level must be a whole number >= 0 .* got {level}"):
            decomposition_boxes((8, 8), level)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(8, 3\) has no 16 parts \(level 4\): at least \(4, 4\) px are needed"):
        decomposition_boxes((8, 3), 4)
    with pytest.raises(ValueError, match=r"has no \d+ parts \(level 200\)"):
        decomposition_boxes((8, 8), 200)
    with pytest.raises(ValueError, match="shape must have at least one side, got none"):
        decomposition_boxes((), 1)
    with pytest.raises(ValueError, match="level must be a whole number >= 0"):
        anatomy_hierarchy((8, 8), -1)
    with pytest.raises(ValueError, match="level must be a whole number >= 0"):
        AnatomyDecompose(-2)
    with pytest.raises(ValueError, match=r"channel-first, \(C, \*spatial\), got \(5,\); add a channel axis"):
        AnatomyDecompose(0)(torch.zeros(5))
