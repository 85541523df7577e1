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
from torch import nn

from monai_lamps.losses import ReleasedUnitDecompositionLoss, UnitCompositionLoss, UnitDecompositionLoss

KINDS = [(UnitCompositionLoss, (3, 5)), (UnitDecompositionLoss, (3, 4, 5)), (ReleasedUnitDecompositionLoss, (3, 4, 5))]


def plain(kind: type, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One sample and one part after the other, with square roots of sums."""
    errors = []
    for p, t in zip(pred, target):
        whole = p.square().sum().sqrt()
        for a, b in zip(p, t) if p.ndim == 2 else [(p, t)]:
            length = whole if kind is ReleasedUnitDecompositionLoss else a.square().sum().sqrt()
            errors += [(x / length - y / b.square().sum().sqrt()) ** 2 for x, y in zip(a, b)]
    return torch.stack(errors).mean()


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_value_and_gradient_are_those_of_a_plain_loop(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    pred, target = 2 * torch.randn(shape), torch.randn(shape)
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    loss, expected = kind()(ours, target), plain(kind, theirs, target)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_bfloat16_embeddings_are_computed_in_float32(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    pred, target = torch.randn(shape).bfloat16(), torch.randn(shape).bfloat16()
    loss = kind()(pred, target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, kind()(pred.float(), target.float()))


def test_lengths_do_not_count_and_equal_directions_are_no_error() -> None:
    torch.manual_seed(0)
    target = torch.randn(3, 4, 5)
    lengths = torch.rand(3, 4, 1) + 0.5
    assert UnitDecompositionLoss()(target * lengths, target) < 1e-12
    assert UnitCompositionLoss()(target[:, 0] * 7, target[:, 0]) < 1e-12


def test_the_composition_is_the_cosine_over_the_width() -> None:
    angle = 0.7
    loss = UnitCompositionLoss()(torch.tensor([[3.0, 0.0]]), torch.tensor([[math.cos(angle), math.sin(angle)]]))
    assert float(loss) == pytest.approx((2 - 2 * math.cos(angle)) / 2)


def test_the_released_normalisation_cannot_reach_zero() -> None:
    torch.manual_seed(0)
    target = torch.nn.functional.normalize(torch.randn(3, 4, 5), dim=-1)
    # four equally long parts of one unit vector have norm 1/2 each, their targets norm 1: (1 - 1/2)^2 / D
    assert float(ReleasedUnitDecompositionLoss()(target, target)) == pytest.approx(0.25 / 5)


@pytest.mark.parametrize("kind", [UnitDecompositionLoss, ReleasedUnitDecompositionLoss])
def test_parts_of_another_shape_are_refused(kind: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"decomposed \(B, P, D\) of shape \(\*, \*, \*\), got \(3, 5\)"):
        kind()(torch.zeros(3, 5), torch.zeros(3, 5))
    with pytest.raises(ValueError, match=r"parts \(B, P, D\) of shape \(3, 4, 5\), got \(3, 8, 5\)"):
        kind()(torch.zeros(3, 4, 5), torch.zeros(3, 8, 5))


def test_wholes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"composed \(B, D\) of shape \(\*, \*\), got \(3, 4, 5\)"):
        UnitCompositionLoss()(torch.zeros(3, 4, 5), torch.zeros(3, 5))
    with pytest.raises(ValueError, match=r"whole \(B, D\) of shape \(3, 5\), got \(1, 5\)"):
        UnitCompositionLoss()(torch.zeros(3, 5), torch.zeros(1, 5))
