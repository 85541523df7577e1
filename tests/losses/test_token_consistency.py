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

from monai_lamps.losses import ReleasedTokenConsistencyLoss, TokenConsistencyLoss


def draw(batch: int, cells: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(batch, cells, 3, generator=generator) for _ in range(2))
    return student, teacher, torch.stack([torch.randperm(cells, generator=generator) for _ in range(batch)])


def aligned(student, teacher, permutation) -> torch.Tensor:
    terms = [
        (student[sample, position] - teacher[sample, permutation[sample, position]]) ** 2
        for sample in range(len(student))
        for position in range(student.shape[1])
    ]
    return torch.stack(terms).mean()


def released(student, teacher, permutation) -> torch.Tensor:
    flat = [int(cell) for sample in permutation for cell in sample]
    terms = [(student[sample] - teacher[sample, flat[sample]]) ** 2 for sample in range(len(student))]
    return torch.stack(terms).mean()


@pytest.mark.parametrize(
    ("loss", "reference"), [(TokenConsistencyLoss(), aligned), (ReleasedTokenConsistencyLoss(), released)]
)
@settings(max_examples=25, deadline=None)
@given(batch=st.integers(1, 5), cells=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_value_and_gradient_are_those_of_the_plain_loop(loss, reference, batch: int, cells: int, seed: int) -> None:
    student, teacher, permutation = draw(batch, cells, seed)
    ours, theirs = student.clone().requires_grad_(), student.clone().requires_grad_()
    value, expected = loss(ours, teacher, permutation), reference(theirs, teacher, permutation)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_student_that_knows_each_cell_wherever_it_stands_has_no_loss_only_when_aligned() -> None:
    _, teacher, permutation = draw(3, 4, 0)
    student = torch.stack([tokens[order] for tokens, order in zip(teacher, permutation)])
    assert TokenConsistencyLoss()(student, teacher, permutation) == 0
    assert ReleasedTokenConsistencyLoss()(student, teacher, permutation) > 0.1


@pytest.mark.parametrize("loss", [TokenConsistencyLoss(), ReleasedTokenConsistencyLoss()])
def test_bfloat16_tokens_are_computed_in_float32(loss) -> None:
    student, teacher, permutation = draw(2, 4, 0)
    value = loss(student.bfloat16(), teacher.bfloat16(), permutation)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(student.bfloat16().float(), teacher.bfloat16().float(), permutation))


@pytest.mark.parametrize("loss", [TokenConsistencyLoss(), ReleasedTokenConsistencyLoss()])
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4), (2, 4), (2, 4)), r"student \(B, N, D\) of shape \(\*, \*, \*\), got \(2, 4\)"),
        (((2, 4, 3), (1, 4, 3), (2, 4)), r"teacher \(B, N, D\) of shape \(2, 4, 3\), got \(1, 4, 3\)"),
        (((2, 4, 3), (2, 4, 3), (8,)), r"permutation \(B, N\) of shape \(2, 4\), got \(8,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(loss, shapes: tuple, message: str) -> None:
    student, teacher, permutation = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        loss(student, teacher, permutation.long())
