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

from monai_lamps.engines.param_groups import weight_decay_groups


def test_biases_and_scales_are_not_decayed_and_frozen_parameters_stay_out() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm(2), nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False))
    decayed, plain = weight_decay_groups(module, 0.04)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert [p.ndim for p in plain["params"]] == [1, 1, 1, 1]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.04, 0.0)
    assert (decayed["decay"], plain["decay"]) == (True, False)
    assert not any(p is q for q in module[3].parameters() for p in decayed["params"] + plain["params"])
    torch.optim.AdamW([decayed, plain])


def test_a_shared_parameter_is_taken_once() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    assert len(weight_decay_groups(nn.Sequential(first, second), 0.1)[0]["params"]) == 1


def test_a_module_without_one_kind_gives_an_empty_group_that_torch_accepts() -> None:
    groups = weight_decay_groups(nn.Linear(2, 2, bias=False), 0.1)
    assert groups[1]["params"] == []
    torch.optim.AdamW(groups)


def test_a_frozen_module_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear got no parameter with requires_grad"):
        weight_decay_groups(nn.Linear(1, 1).requires_grad_(False), 0.1)


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_decay got -0.1, expected >= 0"):
        weight_decay_groups(nn.Linear(1, 1), -0.1)
