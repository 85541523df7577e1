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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.networks import TokenDecoder


def _toy(**kwargs: Any) -> TokenDecoder:
    torch.manual_seed(0)
    own: dict[str, Any] = {"dim": 6, "cell": 4, "width": 12, "depth": 1, "num_heads": 2, "position_cells": 3}
    return TokenDecoder(**{**own, **kwargs}).eval()


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([(2, 3), (1, 4), (2, 1, 2)]), st.integers(1, 4), st.integers(1, 2))
def test_every_token_paints_its_own_cell(grid: tuple[int, ...], cell: int, channels: int) -> None:
    decoder = _toy(spatial_dims=len(grid), cell=cell, channels=channels)
    cells = torch.Size(grid).numel()
    pixels = torch.arange(cells).float()[None, :, None].expand(1, cells, channels * cell ** len(grid))
    image = decoder._to_image(pixels, grid)
    assert image.shape == (1, channels, *(cell * size for size in grid))
    numbers = torch.arange(cells).float().view(1, 1, *grid)
    for axis in range(len(grid)):
        numbers = numbers.repeat_interleave(cell, dim=2 + axis)
    assert torch.equal(image, numbers.expand_as(image))


def test_rows_columns_and_channels_of_a_cell_are_not_mixed_up() -> None:
    image = _toy(cell=2, channels=3)._to_image(torch.arange(12.0)[None, None], (1, 1))
    assert torch.equal(image[0], torch.arange(12.0).view(3, 2, 2))


def test_a_hidden_token_has_no_influence_and_the_mask_token_stands_in_for_it() -> None:
    decoder = _toy()
    tokens, hidden = torch.randn(1, 9, 6), torch.arange(9)[None] == 4
    other = tokens.clone()
    other[0, 4] = 7.0
    painted = decoder(tokens, (3, 3), hidden)
    assert torch.equal(painted, decoder(other, (3, 3), hidden))
    assert not torch.equal(decoder(tokens, (3, 3)), decoder(other, (3, 3)))
    painted.sum().backward()
    assert decoder.mask_token.grad is not None
    assert bool(decoder.mask_token.grad.abs().sum() > 0)


def test_hiding_nothing_is_the_same_as_no_mask() -> None:
    decoder, tokens = _toy(), torch.randn(2, 9, 6)
    nothing = torch.zeros(2, 9, dtype=torch.bool)
    assert torch.equal(decoder(tokens, (3, 3), nothing), decoder(tokens, (3, 3)))


def test_places_are_told_apart_and_other_grids_span_the_same_image() -> None:
    decoder = _toy()
    alike = torch.ones(1, 9, 6)
    painted = decoder(alike, (3, 3))
    assert not torch.allclose(painted[..., :4, :4], painted[..., 4:8, :4])
    finer = decoder._code((6, 6), torch.zeros(1)).view(6, 6, 12)
    coarse = decoder._code((3, 3), torch.zeros(1)).view(3, 3, 12)
    distance = (finer[0, 0] - coarse).norm(dim=-1)
    assert distance.argmin() == 0
    assert decoder(torch.ones(1, 36, 6), (6, 6)).shape == (1, 1, 24, 24)


def test_every_parameter_learns_and_the_position_code_is_not_saved() -> None:
    decoder = _toy()
    decoder(torch.randn(1, 9, 6), (3, 3), torch.arange(9)[None] < 3).square().sum().backward()
    assert [name for name, parameter in decoder.named_parameters() if parameter.grad is None] == []
    assert not [name for name in decoder.state_dict() if "code" in name]


def test_the_config_rebuilds_the_decoder() -> None:
    decoder = _toy(spatial_dims=3, channels=2)
    other = TokenDecoder(**decoder.config)
    other.load_state_dict(decoder.state_dict())
    tokens = torch.randn(1, 8, 6)
    assert torch.equal(decoder(tokens, (2, 2, 2)), other(tokens, (2, 2, 2)))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide width, got 5 and 12"),
        ({"width": 2, "num_heads": 1}, "width must be at least 4 for 2 axes, got 2"),
        ({"depth": 0}, "depth and position_cells must be at least 1, got 0 and 3"),
        ({"position_cells": 0}, "depth and position_cells must be at least 1, got 1 and 0"),
    ],
)
def test_impossible_sizes_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _toy(**kwargs)


@pytest.mark.parametrize(
    ("tokens", "grid", "hidden", "error", "message"),
    [
        ((1, 9, 6), (3, 2), None, ValueError, r"expected tokens \(B, 6, 6\).*got \(1, 9, 6\) and the grid \(3, 2\)"),
        ((1, 8, 6), (2, 2, 2), None, ValueError, r"a grid of 2 axes, got \(1, 8, 6\) and the grid \(2, 2, 2\)"),
        ((9, 6), (3, 3), None, ValueError, r"got \(9, 6\)"),
        ((1, 9, 6), (3, 3), torch.zeros(1, 9), TypeError, "bool tensor, got torch.float32; .*mask > 0"),
        ((1, 9, 6), (3, 3), torch.zeros(1, 8) > 0, ValueError, r"hidden cells \(1, 9\), got \(1, 8\)"),
    ],
)
def test_what_does_not_fit_is_refused(tokens, grid, hidden, error, message: str) -> None:
    with pytest.raises(error, match=message):
        _toy()(torch.zeros(tokens), grid, hidden)
