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

from monai_lamps.losses import ContextConsistencyLoss


def _tokens(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(seed))


def test_value_and_gradient_equal_a_plain_double_loop() -> None:
    teacher, chosen = _tokens(1), torch.tensor([[1, 1, 0, 0, 1], [0, 1, 0, 0, 0]]) > 0
    a, b = (_tokens().requires_grad_() for _ in range(2))
    loss, plain = ContextConsistencyLoss()(a, teacher, chosen), torch.zeros(())
    for sample in range(2):
        some = [i for i in range(5) if chosen[sample, i]]
        for i in some:
            u, v = b[sample, i], teacher[sample, i]
            plain = plain + (1 - u @ v / u.norm() / v.norm()) / len(some) / 2
    torch.testing.assert_close(loss, plain)
    loss.backward()
    plain.backward()
    torch.testing.assert_close(a.grad, b.grad)
    assert bool((a.grad[~chosen] == 0).all())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.lists(st.booleans(), min_size=10, max_size=10))
def test_it_lies_between_0_for_the_same_and_2_for_the_opposite_direction(seed: int, cells: list[bool]) -> None:
    tokens, chosen = _tokens(seed), torch.tensor(cells).view(2, 5)
    loss, share = ContextConsistencyLoss(), chosen.any(dim=1).float().mean()
    assert float(loss(tokens, 3 * tokens, chosen)) == pytest.approx(0, abs=1e-6)
    assert float(loss(tokens, -tokens, chosen)) == pytest.approx(2 * float(share), abs=1e-5)
    assert 0 <= float(loss(tokens, _tokens(seed + 1), chosen)) <= 2


def test_no_gradient_flows_into_the_teacher() -> None:
    student, teacher = _tokens().requires_grad_(), _tokens(1).requires_grad_()
    ContextConsistencyLoss()(student, teacher, torch.ones(2, 5, dtype=torch.bool)).backward()
    assert student.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize(
    ("student", "teacher", "chosen", "message"),
    [
        ((2, 5), (2, 5), (2, 5), r"expected student \(B, N, D\)"),
        ((2, 5, 3), (2, 4, 3), (2, 5), r"expected teacher \(B, N, D\) of shape \(2, 5, 3\), got \(2, 4, 3\)"),
        ((2, 5, 3), (2, 5, 3), (2, 4), r"expected chosen \(B, N\) of shape \(2, 5\), got \(2, 4\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(student, teacher, chosen, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContextConsistencyLoss()(torch.zeros(student), torch.zeros(teacher), torch.zeros(chosen) > 0)
