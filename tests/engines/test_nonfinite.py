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

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from monai_lamps.engines.clip import gradient_norms
from monai_lamps.engines.nonfinite import NonFiniteGuard


class Case:
    """A parameter, its optimizer, and steps with a gradient of our choice."""

    def __init__(self, guard: NonFiniteGuard, fused: bool = False, make: type = torch.optim.AdamW) -> None:
        self.parameter = nn.Parameter(torch.ones(3))
        self.optimizer = make([self.parameter], lr=0.1, fused=fused)
        self.guard = guard
        self.number = 0

    def step(self, gradient: float, loss: float = 1.0, scaler: GradScaler | None = None) -> None:
        value = torch.tensor(loss)
        self.parameter.grad = torch.tensor([0.5, gradient, 0.5])
        if scaler is not None:
            scaler.scale(value)
            scaler.unscale_(self.optimizer)
        norms = gradient_norms([self.parameter])
        index, terms = torch.tensor([4, 7]), {"order": value}
        self.guard.step(self.optimizer, norms, value, step=self.number, terms=terms, index=index, scaler=scaler)
        self.number += 1

    def state(self) -> tuple[torch.Tensor, dict[str, Any]]:
        return self.parameter.detach().clone(), copy.deepcopy(self.optimizer.state_dict()["state"])


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_bad_gradient_leaves_weights_and_optimizer_untouched(fused: bool, make: type, bad: float) -> None:
    case, reference = (Case(NonFiniteGuard(), fused, make) for _ in range(2))
    for gradient in (0.3, bad, 0.2, bad, bad, 0.1):
        before = case.state()
        case.step(gradient)
        if gradient == bad or gradient != gradient:
            torch.testing.assert_close(case.state(), before, rtol=0, atol=0)
        else:
            reference.step(gradient)
    torch.testing.assert_close(case.state(), reference.state(), rtol=0, atol=0)
    assert case.guard.skipped == 3
    assert reference.guard.skipped == 0
    assert not hasattr(case.optimizer, "found_inf")


def test_patience_counts_updates_in_a_row() -> None:
    case = Case(NonFiniteGuard(patience=2))
    for gradient in (float("nan"), float("nan"), 0.1, float("nan"), float("nan")):
        case.step(gradient)
    with pytest.raises(RuntimeError, match="This is update 3 in a row, with patience=2"):
        case.step(float("nan"))


def test_the_message_names_step_terms_samples_and_the_mend() -> None:
    case = Case(NonFiniteGuard(patience=0))
    case.step(0.1)
    message = (
        r"not finite at step 1: loss=nan \(order=nan\), 1 of 1 parameter gradients not finite, sample indices \[4, 7\]"
        r".*patience=0.*weights are those of the last finite step.*lower the learning rate"
    )
    with pytest.raises(RuntimeError, match=message):
        case.step(float("nan"), loss=float("nan"))


def test_without_patience_the_first_one_raises() -> None:
    with pytest.raises(RuntimeError, match="not finite at step 0"):
        Case(NonFiniteGuard(patience=0)).step(float("inf"))


class OnGpu(torch.Tensor):
    """A loss that says it lies on a GPU."""

    is_cuda = True


def test_on_a_gpu_with_a_fused_optimizer_counts_are_read_every_patience_plus_one_steps() -> None:
    case = Case(NonFiniteGuard(patience=2), fused=True)

    def step(gradient: float) -> None:
        case.parameter.grad = torch.full((3,), gradient)
        loss = torch.tensor(1.0).as_subclass(OnGpu)  # type: ignore[arg-type]
        case.guard.step(case.optimizer, gradient_norms([case.parameter]), loss, step=0, terms={})

    step(0.1)
    before = case.state()
    for _ in range(4):  # calls 2 to 5; the third in a row is call 4, but counts are read at calls 3 and 6
        step(float("nan"))
    with pytest.raises(RuntimeError, match="This is update 5 in a row, with patience=2"):
        step(float("nan"))
    torch.testing.assert_close(case.state(), before, rtol=0, atol=0)


def test_a_bad_loss_starts_the_backward_pass_with_nan_and_a_good_one_with_1() -> None:
    guard = NonFiniteGuard()
    for loss in (float("nan"), float("inf"), -float("inf")):
        assert guard.seed_gradient(torch.tensor(loss)).isnan()
    assert guard.seed_gradient(torch.tensor(-3.5, requires_grad=True)).tolist() == 1.0
    parameter = nn.Parameter(torch.ones(2))
    loss = parameter.sum() + float("nan")
    loss.backward(gradient=guard.seed_gradient(loss))
    assert parameter.grad is not None
    assert parameter.grad.isnan().all()


def test_overflow_under_a_scaler_is_no_failure_until_the_scale_is_used_up() -> None:
    case, scaler = Case(NonFiniteGuard(patience=1)), GradScaler("cpu", init_scale=4.0)
    start = case.state()[0]
    case.step(float("inf"), scaler=scaler)
    case.step(float("inf"), scaler=scaler)
    assert (case.guard.skipped, scaler.get_scale()) == (0, 1.0)
    case.step(float("inf"), scaler=scaler)
    assert case.guard.skipped == 1
    with pytest.raises(RuntimeError, match="This is update 2 in a row"):
        case.step(float("inf"), scaler=scaler)
    assert torch.equal(case.state()[0], start)


def test_a_bad_loss_is_a_failure_at_any_scale() -> None:
    case, scaler = Case(NonFiniteGuard()), GradScaler("cpu", init_scale=2.0**16)
    case.step(float("nan"), loss=float("nan"), scaler=scaler)
    assert case.guard.skipped == 1


def test_no_gradients_at_all_are_fine() -> None:
    parameter = nn.Parameter(torch.ones(1))
    guard = NonFiniteGuard()
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    guard.step(optimizer, gradient_norms([parameter]), torch.tensor(1.0), step=0, terms={})
    assert guard.skipped == 0
    assert NonFiniteGuard().skipped == 0


def test_negative_patience_is_refused() -> None:
    with pytest.raises(ValueError, match="patience got -1, expected >= 0: use 0 to stop"):
        NonFiniteGuard(-1)


def test_it_says_what_it_is() -> None:
    assert repr(NonFiniteGuard()) == "NonFiniteGuard(patience=10)"
