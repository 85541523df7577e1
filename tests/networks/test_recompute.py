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

from monai_lamps.networks.recompute import RECOMPUTE, keep, recompute, recompute_policy


def test_recompute_runs_the_cheap_operations_again_and_not_the_linear_layer() -> None:
    ran = []
    linear = nn.Linear(3, 3)
    finished = []
    linear.register_forward_hook(lambda *_: finished.append("linear"))

    def cheap(x: torch.Tensor) -> torch.Tensor:
        ran.append("cheap")
        return x.sin()

    x = torch.randn(2, 3, requires_grad=True)
    recompute(lambda value: linear(cheap(value)), x).sum().backward()
    assert ran == ["cheap", "cheap"]
    assert finished == ["linear"]  # the second time it was left as soon as its input was there
    expected = torch.autograd.grad(linear(x.sin()).sum(), x)[0]
    torch.testing.assert_close(x.grad, expected)


def test_without_gradients_nothing_is_wrapped() -> None:
    calls = []
    with torch.no_grad():
        assert recompute(lambda value: calls.append(value) or value, torch.ones(1)) == 1
    assert len(calls) == 1


def test_names_of_policies_and_an_unknown_one() -> None:
    assert recompute_policy("nothing") == (keep, keep)
    assert recompute_policy("between") == (keep, recompute)
    assert recompute_policy("all") == (recompute, keep)
    with pytest.raises(ValueError, match=r"recompute must be one of \['nothing', 'between', 'all'\], got 'half'"):
        recompute_policy("half")
    assert set(RECOMPUTE) == {"nothing", "between", "all"}
