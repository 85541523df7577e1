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
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monai_lamps.losses import LesionDiscriminationLoss, discrimination_figures


def _case(batch: int = 3, keys: int = 5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    query, key, healthy = (torch.randn(n, 4, generator=draw) for n in (batch, keys, batch))
    return query, key, torch.arange(batch) + keys - batch, healthy, torch.arange(batch) % 3 != 1


def _plain(query: Tensor, keys: Tensor, own: Tensor, healthy: Tensor, has_lesion: Tensor, t: float) -> Tensor:
    total = torch.zeros(())
    for i, q in enumerate(query):
        others = list(keys) + ([healthy[i]] if has_lesion[i] else [])
        below = sum(torch.exp(F.cosine_similarity(q, k, dim=0) / t) for k in others)
        total = total - torch.log(torch.exp(F.cosine_similarity(q, keys[own[i]], dim=0) / t) / below)
    return total / len(query)


def test_value_and_gradient_equal_a_plain_double_loop() -> None:
    query, *rest = _case()
    a, b = (query.clone().requires_grad_() for _ in range(2))
    loss, plain = LesionDiscriminationLoss(0.3)(a, *rest), _plain(b, *rest, 0.3)
    torch.testing.assert_close(loss, plain)
    loss.backward()
    plain.backward()
    torch.testing.assert_close(a.grad, b.grad)


def test_no_gradient_flows_into_keys_and_counterparts() -> None:
    query, keys, own, healthy, has_lesion = _case()
    for tensor in (query, keys, healthy):
        tensor.requires_grad_()
    LesionDiscriminationLoss()(query, keys, own, healthy, has_lesion).backward()
    assert query.grad is not None
    assert keys.grad is None
    assert healthy.grad is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 1.0), st.floats(0.1, 9.0))
def test_lengths_do_not_matter_and_the_healthy_counterpart_makes_it_harder(
    seed: int, temperature: float, length: float
) -> None:
    query, keys, own, healthy, _ = _case(seed=seed)
    loss, all_of_them = LesionDiscriminationLoss(temperature), torch.ones(3, dtype=torch.bool)
    value = loss(query, keys, own, healthy, all_of_them)
    torch.testing.assert_close(loss(length * query, keys * length, own, healthy / length, all_of_them), value)
    assert float(value) >= float(loss(query, keys, own, healthy, ~all_of_them)) >= 0


def test_embeddings_that_know_no_lesion_pay_for_it() -> None:
    same = torch.eye(4)[:2]
    loss = LesionDiscriminationLoss(0.2)(same, same, torch.arange(2), same, torch.ones(2, dtype=torch.bool))
    assert float(loss) == pytest.approx(math.log(2 + math.exp(-5)), abs=1e-4)


def test_figures_tell_right_from_wrong() -> None:
    keys, own = torch.eye(4), torch.arange(4)
    query = torch.eye(4)[[0, 1, 2, 2]]  # the last one looks like another image
    healthy = torch.eye(4)[[3, 1, 3, 0]] * 1.0  # the second cannot be told from its counterpart
    figures = discrimination_figures(query, keys, own, healthy, torch.tensor([True, True, False, True]))
    assert float(figures["discrimination_accuracy"]) == 0.5
    assert float(figures["lesion_preference"]) == pytest.approx(1 / 3)


def test_equal_embeddings_count_as_wrong_and_images_without_lesion_not_at_all() -> None:
    ones, nobody = torch.ones(3, 4), torch.zeros(3, dtype=torch.bool)
    figures = discrimination_figures(ones, ones, torch.arange(3), ones, nobody)
    assert {name: float(value) for name, value in figures.items()} == {
        "discrimination_accuracy": 0.0,
        "lesion_preference": 0.0,
    }


def test_it_is_computed_in_float32_under_autocast() -> None:
    query, keys, own, healthy, has_lesion = _case()
    with torch.autocast("cpu", torch.bfloat16):
        loss = LesionDiscriminationLoss()(query, keys, own, healthy, has_lesion)
    torch.testing.assert_close(loss, LesionDiscriminationLoss()(query, keys, own, healthy, has_lesion))


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature must be positive, got 0\.0"):
        LesionDiscriminationLoss(0.0)


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (3, 4, 1), r"expected query \(B, D\)"),
        (1, (5, 3), r"expected keys \(M, D\) of shape \(\*, 4\), got \(5, 3\)"),
        (2, (2,), r"expected own \(B,\) of shape \(3\), got \(2,\)"),
        (3, (2, 4), r"expected healthy \(B, D\) of shape \(3, 4\), got \(2, 4\)"),
        (4, (2,), r"expected has_lesion \(B,\) of shape \(3\), got \(2,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(place: int, shape: tuple[int, ...], message: str) -> None:
    case = list(_case())
    case[place] = torch.zeros(shape, dtype=case[place].dtype)
    with pytest.raises(ValueError, match=message):
        LesionDiscriminationLoss()(*case)
