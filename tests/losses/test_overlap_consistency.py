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

from monai_lamps.losses import OverlapConsistencyLoss


@settings(max_examples=25, deadline=None)
@given(batch=st.integers(1, 3), cells=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_value_and_gradient_are_those_of_the_plain_loop(batch: int, cells: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(batch, cells, 3, generator=generator) for _ in range(2))
    index = torch.randint(-1, cells, (batch, cells), generator=generator)
    index[0, 0] = 0
    ours, theirs = student.clone().requires_grad_(), student.clone().requires_grad_()
    terms = [
        (theirs[sample, cell] - teacher[sample, index[sample, cell]]) ** 2
        for sample in range(batch)
        for cell in range(cells)
        if index[sample, cell] >= 0
    ]
    loss, expected = OverlapConsistencyLoss()(ours, teacher, index), torch.stack(terms).mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_no_shared_cell_is_zero_with_a_zero_gradient() -> None:
    student = torch.randn(2, 3, 4, requires_grad=True)
    loss = OverlapConsistencyLoss()(student, torch.randn(2, 3, 4), torch.full((2, 3), -1))
    loss.backward()
    assert loss == 0
    assert torch.equal(student.grad, torch.zeros(2, 3, 4))


def test_bfloat16_tokens_are_computed_in_float32() -> None:
    student, teacher = torch.randn(2, 3, 4).bfloat16(), torch.randn(2, 3, 4).bfloat16()
    index = torch.tensor([[2, -1, 0], [1, 1, -1]])
    loss = OverlapConsistencyLoss()(student, teacher, index)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, OverlapConsistencyLoss()(student.float(), teacher.float(), index))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4), (2, 4), (2, 4)), r"student \(B, N, D\) of shape \(\*, \*, \*\), got \(2, 4\)"),
        (((2, 4, 3), (2, 5, 3), (2, 4)), r"teacher \(B, N, D\) of shape \(2, 4, 3\), got \(2, 5, 3\)"),
        (((2, 4, 3), (2, 4, 3), (4,)), r"index \(B, N\) of shape \(2, 4\), got \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: tuple, message: str) -> None:
    student, teacher, index = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        OverlapConsistencyLoss()(student, teacher, index.long())
