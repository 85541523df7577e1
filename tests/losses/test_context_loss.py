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

from monai_lamps.losses import ContextLoss


def reference(pred, target, hidden, beta: float, reduction: str) -> torch.Tensor:
    total, count = 0.0, 0
    for sample in range(pred.shape[0]):
        for cell in range(pred.shape[1]):
            if hidden[sample, cell]:
                error = (pred[sample, cell] - target[sample, cell]).abs()
                total = total + torch.where(error < beta, error**2 / (2 * beta), error - beta / 2).mean()
                count += 1
    return total / (hidden.numel() if reduction == "all" else count)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["all", "hidden"]), st.floats(0.2, 2.0), st.integers(0, 10_000))
def test_value_and_gradient_are_those_of_the_plain_sum(reduction: str, beta: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pred, target = (2 * torch.randn(2, 5, 3, generator=generator) for _ in range(2))
    hidden = torch.rand(2, 5, generator=generator) < 0.5
    hidden[0, 0] = True
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    loss, expected = (
        ContextLoss(beta, reduction)(ours, target, hidden),
        reference(theirs, target, hidden, beta, reduction),
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_published_reduction_is_the_hidden_mean_times_the_share_hidden() -> None:
    pred, target = torch.randn(2, 196, 4), torch.randn(2, 196, 4)
    visible = torch.zeros(2, 14, 14, dtype=torch.bool)
    visible[0, 1:12, 2:13] = visible[1, 3:14, 0:11] = True
    hidden = ~visible.flatten(1)
    loss = ContextLoss()(pred, target, hidden)
    torch.testing.assert_close(loss, ContextLoss(reduction="hidden")(pred, target, hidden) * 75 / 196)
    mask = hidden[..., None].float()
    torch.testing.assert_close(loss, torch.nn.SmoothL1Loss()(pred * mask, target * mask))


def test_visible_cells_do_not_matter_even_when_not_finite() -> None:
    pred = torch.randn(1, 2, 3, requires_grad=True)
    target = torch.randn(1, 2, 3)
    target[0, 0] = float("nan")
    loss = ContextLoss()(pred, target, torch.tensor([[False, True]]))
    loss.backward()
    assert loss.isfinite()
    assert pred.grad[0, 1].isfinite().all()


@pytest.mark.parametrize("reduction", ["all", "hidden"])
def test_nothing_hidden_is_zero_and_not_a_division_by_zero(reduction: str) -> None:
    loss = ContextLoss(reduction=reduction)(torch.ones(1, 2, 3), torch.zeros(1, 2, 3), torch.zeros(1, 2).bool())
    assert loss == 0


def test_bfloat16_inputs_are_computed_in_float32() -> None:
    pred, target = torch.randn(2, 3, 4).bfloat16(), torch.randn(2, 3, 4).bfloat16()
    hidden = torch.ones(2, 3, dtype=torch.bool)
    loss = ContextLoss()(pred, target, hidden)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ContextLoss()(pred.float(), target.float(), hidden))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (2, 3), (2,)), r"pred \(B, N, D\) of shape \(\*, \*, \*\), got \(2, 3\)"),
        (((2, 3, 4), (2, 4, 4), (2, 3)), r"target \(B, N, D\) of shape \(2, 3, 4\), got \(2, 4, 4\)"),
        (((2, 3, 4), (2, 3, 4), (2, 4)), r"hidden \(B, N\) of shape \(2, 3\), got \(2, 4\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: tuple, message: str) -> None:
    pred, target, hidden = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        ContextLoss()(pred, target, hidden > 0)


def test_other_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match=r"hidden must be a bool tensor, got torch.float64"):
        ContextLoss()(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="beta must be positive, got 0"):
        ContextLoss(beta=0)
    with pytest.raises(ValueError, match="reduction must be 'all' or 'hidden', got 'mean'"):
        ContextLoss(reduction="mean")
