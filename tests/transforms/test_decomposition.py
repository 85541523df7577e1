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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import Decompose, Decomposed, decompose, recompose


def test_quadrants_come_top_left_bottom_left_top_right_bottom_right() -> None:
    x = torch.tensor([[1.0, 3.0], [2.0, 4.0]])[None].repeat_interleave(2, 1).repeat_interleave(3, 2)
    parts = decompose(x, 2)
    assert parts.shape == (4, 1, 2, 3)
    assert [part.unique().tolist() for part in parts] == [[1.0], [2.0], [3.0], [4.0]]


def test_octants_have_axis_0_in_the_lowest_bit() -> None:
    x = torch.rand(1, 4, 2, 6)
    parts = decompose(x, 3)
    for bit0 in range(2):
        for bit1 in range(2):
            for bit2 in range(2):
                part = x[:, 2 * bit0 : 2 * bit0 + 2, bit1 : bit1 + 1, 3 * bit2 : 3 * bit2 + 3]
                assert torch.equal(parts[bit0 + 2 * bit1 + 4 * bit2], part)


@settings(max_examples=25, deadline=None)
@given(
    lead=st.lists(st.integers(1, 3), max_size=2),
    half=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    channels=st.integers(1, 2),
)
def test_recomposing_undoes_decomposing(lead: list[int], half: list[int], channels: int) -> None:
    n = len(half)
    x = torch.rand(*lead, channels, *(2 * side for side in half))
    parts = decompose(x, n)
    assert parts.shape == (*lead, 2**n, channels, *half)
    assert torch.equal(recompose(parts, n), x)


def test_a_batch_is_decomposed_like_its_samples() -> None:
    x = torch.rand(3, 2, 4, 6)
    assert torch.equal(decompose(x, 2), torch.stack([decompose(sample, 2) for sample in x]))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_two_levels_decompose_each_part_in_turn(spatial_dims: int) -> None:
    x = torch.rand(1, *[8] * spatial_dims)
    once, twice = Decompose(1)(x), Decompose(2)(x)
    assert len(once) == 2**spatial_dims
    assert len(twice) == 4**spatial_dims
    expected = [small for part in once for small in Decompose(1)(part)]
    assert all(torch.equal(a, b) for a, b in zip(twice, expected, strict=True))


def test_parts_do_not_share_memory_with_the_image() -> None:
    x = torch.zeros(1, 4, 4)
    for part in Decompose()(x):
        part += 1
    assert x.sum() == 0


def test_the_dictionary_form_writes_the_parts_of_every_key() -> None:
    img = torch.rand(1, 4, 4)
    out = Decomposed(["image", "label"], postfix="quadrant")({"image": img, "label": img.numpy() * 2})
    assert torch.equal(out["image"], img)
    for i, part in enumerate(Decompose()(img)):
        assert torch.equal(out[f"image_quadrant{i}"], part)
        assert torch.equal(out[f"label_quadrant{i}"], 2 * part)
    assert "image_part0" in Decomposed("image")({"image": img})


def test_what_cannot_be_halved_or_put_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5\) has no exact halves; crop or resize"):
        decompose(torch.zeros(1, 4, 5), 2)
    with pytest.raises(ValueError, match="with 3 spatial axes"):
        decompose(torch.zeros(4, 4, 4), 3)
    with pytest.raises(ValueError, match=r"parts must be \(..., 4, C, \*half\)"):
        recompose(torch.zeros(3, 1, 2, 2), 2)
    with pytest.raises(ValueError, match=r"cannot be halved 2 time\(s\); crop or resize it to multiples of 4"):
        Decompose(2)(torch.zeros(1, 4, 6))
    with pytest.raises(ValueError, match="levels must be at least 1, got 0"):
        Decompose(0)
