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

"""Schedules of the settings of an optimizer's parameter groups."""

from __future__ import annotations

from collections.abc import Mapping

from torch.optim import Optimizer

from monai_lamps.engines.progress import Progress
from monai_lamps.engines.schedules import Schedule, as_schedule

__all__ = ["GroupSchedules"]


class GroupSchedules:
    """
    Set learning rate, weight decay and the like before every step, as pure functions of `Progress`.

    "lr" is multiplied by a group's "lr_scale" if it has one; "weight_decay" is left alone in groups with
    ``decay=False`` (see `weight_decay_groups`). Unlike torch's schedulers it has no state, so a resume needs none.

    Args:
        optimizer: the optimizer.
        schedules: key of its parameter groups to schedule or number.

    Raises:
        ValueError: When a key is not one of the optimizer's settings, or a number is not finite.
    """

    def __init__(self, optimizer: Optimizer, schedules: Mapping[str, float | Schedule]) -> None:
        keys = set.intersection(*(set(group) for group in optimizer.param_groups))
        valid = sorted(keys - {"params", "decay", "lr_scale"})
        for key in schedules:
            if key not in valid:
                raise ValueError(
                    f"schedules got the key '{key}', expected one of {valid}, the settings of "
                    f"{type(optimizer).__name__}."
                )
        self.optimizer = optimizer
        self.schedules = {key: as_schedule(value) for key, value in schedules.items()}

    def apply(self, progress: Progress) -> None:
        """
        Write the values at `progress` into the parameter groups.

        Args:
            progress: place in the run.
        """
        for key, schedule in self.schedules.items():
            value = schedule(progress)
            for group in self.optimizer.param_groups:
                if key == "weight_decay" and not group.get("decay", True):
                    continue
                group[key] = value * group.get("lr_scale", 1.0) if key == "lr" else value
