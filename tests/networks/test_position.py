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

import math

import pytest
import torch

from monai_lamps.networks import sincos_position_code


@pytest.mark.parametrize("grid", [(5,), (3, 4), (2, 3, 2)])
def test_the_code_is_the_written_formula_with_the_last_axis_first(grid: tuple[int, ...]) -> None:
    axes, bands = len(grid), 3
    dim = 2 * axes * bands
    code = sincos_position_code(dim, grid)
    assert code.shape == (1, math.prod(grid), dim)
    assert code.dtype == torch.float32
    for index in range(math.prod(grid)):
        rest, place = index, []
        for size in reversed(grid):  # row-major: the last axis runs fastest
            rest, position = divmod(rest, size)
            place.append(position)
        expected = []
        for position in place:
            angles = [position / 10000 ** (band / bands) for band in range(bands)]
            expected += [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
        torch.testing.assert_close(code[0, index], torch.tensor(expected), rtol=0, atol=1e-6)


def test_the_class_token_is_a_row_of_zeros_in_front() -> None:
    code = sincos_position_code(8, (2, 2), class_token=True)
    assert torch.equal(code[0, 0], torch.zeros(8))
    assert torch.equal(code[:, 1:], sincos_position_code(8, (2, 2)))


def test_channels_that_do_not_divide_evenly_are_zero() -> None:
    code = sincos_position_code(16, (2, 2, 2))
    assert torch.equal(code[0, :, 12:], torch.zeros(8, 4))
    assert torch.equal(code[..., :12], sincos_position_code(12, (2, 2, 2)))


def test_every_cell_has_its_own_code() -> None:
    code = sincos_position_code(12, (4, 4, 4))[0]
    assert torch.cdist(code, code).add(torch.eye(64)).min() > 0.1


def test_a_grid_of_another_size_spans_the_same_image() -> None:
    code = sincos_position_code(8, (4, 6), span=(4, 3))
    place = torch.tensor([(column + 0.5) / 2 - 0.5 for column in range(6)])  # three cells, cut in halves
    torch.testing.assert_close(code[0, :6, 0], place.sin())
    torch.testing.assert_close(code[0, ::6, 4], torch.arange(4.0).sin())  # the rows are as they were
    assert torch.equal(sincos_position_code(8, (3, 5), span=(3, 5)), sincos_position_code(8, (3, 5)))


@pytest.mark.parametrize("span", [(2,), (2, 0)])
def test_a_span_that_does_not_fit_the_grid_is_refused(span: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"span must have at least one cell along each of 2 axes, got \(2,"):
        sincos_position_code(8, (2, 2), span=span)


@pytest.mark.parametrize(
    ("dim", "grid", "message"),
    [
        (3, (2, 2), "dim must be at least 4 for a grid of 2 axes, got 3"),
        (5, (2, 2, 2), "at least 6 .*got 5"),
        (8, (2, 0), r"at least one cell along every axis, got \(2, 0\)"),
        (8, (), r"at least one cell"),
    ],
)
def test_what_cannot_be_coded_is_refused(dim: int, grid: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sincos_position_code(dim, grid)
