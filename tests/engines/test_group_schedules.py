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

from monai_lamps.engines.group_schedules import GroupSchedules
from monai_lamps.engines.param_groups import weight_decay_groups
from monai_lamps.engines.progress import Progress
from monai_lamps.engines.schedules import Linear


def test_values_reach_the_groups_they_are_for() -> None:
    groups = weight_decay_groups(nn.Linear(2, 2), 0.3)
    groups[1]["lr_scale"] = 0.5
    optimizer = torch.optim.AdamW(groups)
    schedules = GroupSchedules(optimizer, {"lr": Linear(0, 1), "weight_decay": Linear(0.1, 0.5), "eps": 1e-6})
    schedules.apply(Progress.at(2, 2, 2))
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"]) == (0.5, 0.25)
    assert (first["weight_decay"], second["weight_decay"]) == (pytest.approx(0.3), 0.0)
    assert first["eps"] == second["eps"] == 1e-6


def test_groups_without_marks_are_all_scheduled() -> None:
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    GroupSchedules(optimizer, {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.9}).apply(Progress.at(0, 1, 1))
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.1, 0.2, 0.9)


def test_an_unknown_setting_is_refused_with_those_there_are() -> None:
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    with pytest.raises(ValueError, match=r"schedules got the key 'learning_rate', expected one of .*'lr'.* of SGD"):
        GroupSchedules(optimizer, {"learning_rate": 0.1})


def test_the_scale_of_a_groups_learning_rate_is_no_setting_of_the_optimizer() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [parameter], "lr_scale": 0.5, "decay": True}], lr=1.0)
    with pytest.raises(ValueError, match="got the key 'lr_scale', expected one of"):
        GroupSchedules(optimizer, {"lr_scale": 2.0})
