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
from torch import nn

from monai_lamps.engines.clip import GlobalNormClip, PerParameterClip, gradient_norms


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    result = [nn.Parameter(torch.zeros(shape)) for shape in [(3, 4), (5,), (2, 2, 2), (), (3,)]]
    for number, parameter in enumerate(result[:-1]):
        parameter.grad = torch.randn(parameter.shape, generator=generator) * 10.0 ** (number - 1)
    return result


@pytest.mark.parametrize("max_norm", [0.05, 0.8, 100.0, 1e6])
def test_each_gradient_is_clipped_by_itself(max_norm: float) -> None:
    params, reference = parameters(), parameters()
    norms = PerParameterClip(max_norm)(params)
    for number, expected in enumerate(reference[:-1]):
        assert expected.grad is not None
        norm = expected.grad.pow(2).sum().sqrt()
        factor = max_norm / (norm + 1e-6)
        if factor < 1:
            expected.grad.mul_(factor)
        torch.testing.assert_close(params[number].grad, expected.grad)
        torch.testing.assert_close(norms[number], norm)
        assert torch.linalg.vector_norm(expected.grad) <= max_norm * (1 + 1e-6)
    assert params[-1].grad is None
    assert norms.shape == (4,)


@pytest.mark.parametrize("max_norm", [0.05, 1e6])
def test_the_global_clip_agrees_with_torch_and_gives_every_norm(max_norm: float) -> None:
    params, reference = parameters(), parameters()
    norms = GlobalNormClip(max_norm)(params)
    total = torch.nn.utils.clip_grad_norm_(reference, max_norm)
    torch.testing.assert_close(torch.linalg.vector_norm(norms), total)
    for got, expected in zip(params[:-1], reference):
        torch.testing.assert_close(got.grad, expected.grad)


def test_norms_are_those_before_clipping() -> None:
    expected = gradient_norms(parameters())
    torch.testing.assert_close(PerParameterClip(0.1)(parameters()), expected)
    torch.testing.assert_close(GlobalNormClip(0.1)(parameters()), expected)


def test_a_generator_of_parameters_and_none_at_all_are_fine() -> None:
    linear = nn.Linear(2, 2)
    assert PerParameterClip()(linear.parameters()).shape == GlobalNormClip(1)(linear.parameters()).shape == (0,)
    linear(torch.ones(1, 2)).sum().mul(100).backward()
    assert PerParameterClip()(linear.parameters()).min() > 0.8
    assert float(gradient_norms(linear.parameters()).max()) == pytest.approx(0.8, rel=1e-5)


def test_a_nan_stays_visible_in_its_norm() -> None:
    params = parameters()
    params[1].grad[2] = float("nan")  # type: ignore[index]
    assert PerParameterClip()(params).isfinite().tolist() == [True, False, True, True]


@pytest.mark.parametrize("make", [PerParameterClip, GlobalNormClip])
@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("nan")])
def test_an_ill_norm_is_refused(make: type, max_norm: float) -> None:
    with pytest.raises(ValueError, match=r"max_norm got .*, expected > 0: pass clip=None"):
        make(max_norm)


def test_they_say_what_they_are() -> None:
    assert repr(PerParameterClip()) == "PerParameterClip(max_norm=0.8)"
    assert repr(GlobalNormClip(3)) == "GlobalNormClip(max_norm=3.0)"
