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

from monai_lamps.losses import PatchOrderLoss, order_accuracy, order_near_accuracy


def draw(batch: int, cells: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    permutation = torch.stack([torch.randperm(cells, generator=generator) for _ in range(batch)])
    return torch.randn(batch, cells, cells, generator=generator), permutation


def test_value_and_gradient_are_those_of_the_plain_cross_entropy() -> None:
    logits, permutation = draw(3, 5)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    terms = []
    for sample in range(3):
        for position in range(5):
            scores = theirs[sample, position]
            terms.append(scores.exp().sum().log() - scores[permutation[sample, position]])
    loss, expected = PatchOrderLoss()(ours, permutation), sum(terms) / 15
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_no_knowledge_costs_the_logarithm_of_the_cells() -> None:
    _, permutation = draw(2, 9)
    assert PatchOrderLoss()(torch.zeros(2, 9, 9), permutation).item() == pytest.approx(math.log(9))


def test_accuracy_counts_the_positions_named_right() -> None:
    _, permutation = draw(2, 4)
    logits = torch.nn.functional.one_hot(permutation, 4).float().requires_grad_()
    accuracy = order_accuracy(logits, permutation)
    assert accuracy == 1
    assert not accuracy.requires_grad
    wrong = permutation.clone()
    wrong[0, :2] = permutation[0, [1, 0]]
    assert order_accuracy(logits, wrong) == 0.75


def test_bfloat16_logits_are_computed_in_float32() -> None:
    logits, permutation = draw(2, 4)
    loss = PatchOrderLoss()(logits.bfloat16(), permutation)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, PatchOrderLoss()(logits.bfloat16().float(), permutation))
    assert order_accuracy(logits.bfloat16(), permutation).dtype == torch.float32


@pytest.mark.parametrize("function", [PatchOrderLoss(), order_accuracy])
@pytest.mark.parametrize(
    ("logits", "permutation", "message"),
    [
        ((2, 4, 4), (4,), r"permutation \(B, N\) of shape \(\*, \*\), got \(4,\)"),
        ((2, 4, 5), (2, 4), r"logits \(B, N, N\) of shape \(2, 4, 4\), got \(2, 4, 5\)"),
        ((8, 4), (2, 4), r"logits \(B, N, N\) of shape \(2, 4, 4\), got \(8, 4\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(function, logits: tuple, permutation: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(torch.zeros(logits), torch.zeros(permutation, dtype=torch.int64))


def test_near_accuracy_counts_cells_within_one_cell() -> None:
    permutation = torch.tensor([[0, 5, 10, 15]]).repeat(1, 4)[:, :16]
    named = torch.tensor([[0, 0, 8, 15]]).repeat(1, 4)[:, :16]  # right, one diagonal step, two columns off, right
    logits = torch.nn.functional.one_hot(named, 16).float()
    assert order_near_accuracy(logits, permutation, (4, 4)) == 0.75
    assert order_accuracy(logits, permutation) == 0.5
    with pytest.raises(ValueError, match=r"expected a grid of 16 cells, got \(4, 5\)"):
        order_near_accuracy(logits, permutation, (4, 5))
