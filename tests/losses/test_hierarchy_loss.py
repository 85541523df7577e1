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

from monai_lamps.losses import CompositionLoss, DecompositionLoss


def smooth_l1(pred: torch.Tensor, target: torch.Tensor, beta: float) -> torch.Tensor:
    error = (pred - target).abs()
    return torch.where(error < beta, error**2 / (2 * beta), error - beta / 2).mean()


@pytest.mark.parametrize("beta", [0.5, 1.0])
@pytest.mark.parametrize(("kind", "shape"), [(CompositionLoss, (3, 5)), (DecompositionLoss, (3, 4, 5))])
def test_value_and_gradient_are_those_of_the_plain_mean(kind, shape: tuple, beta: float) -> None:
    torch.manual_seed(0)
    pred, target = 2 * torch.randn(shape), torch.randn(shape)
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    loss = kind(beta)(ours, target)
    if kind is CompositionLoss:
        expected = smooth_l1(theirs, target, beta)
    else:
        expected = torch.stack([smooth_l1(theirs[:, i], target[:, i], beta) for i in range(4)]).mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("kind", "shape"), [(CompositionLoss, (3, 5)), (DecompositionLoss, (3, 4, 5))])
def test_bfloat16_embeddings_are_computed_in_float32(kind, shape: tuple) -> None:
    pred, target = torch.randn(shape).bfloat16(), torch.randn(shape).bfloat16()
    loss = kind()(pred, target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, kind()(pred.float(), target.float()))


@pytest.mark.parametrize(
    ("kind", "pred", "target", "message"),
    [
        (CompositionLoss, (3, 4, 5), (3, 5), r"composed \(B, D\) of shape \(\*, \*\), got \(3, 4, 5\)"),
        (CompositionLoss, (3, 5), (1, 5), r"whole \(B, D\) of shape \(3, 5\), got \(1, 5\)"),
        (DecompositionLoss, (3, 5), (3, 5), r"decomposed \(B, P, D\) of shape \(\*, \*, \*\), got \(3, 5\)"),
        (DecompositionLoss, (3, 4, 5), (3, 8, 5), r"parts \(B, P, D\) of shape \(3, 4, 5\), got \(3, 8, 5\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(kind, pred: tuple, target: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind()(torch.zeros(pred), torch.zeros(target))


@pytest.mark.parametrize("kind", [CompositionLoss, DecompositionLoss])
def test_a_beta_that_is_not_positive_is_refused(kind) -> None:
    with pytest.raises(ValueError, match="beta must be positive, got -1"):
        kind(-1)
