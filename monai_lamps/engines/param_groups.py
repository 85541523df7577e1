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

"""Parameter groups of the optimizer."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["weight_decay_groups"]


def weight_decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """
    Two parameter groups: matrices and kernels with weight decay, biases and 1-D parameters (norm scales) without.

    This is the published grouping of Lamps (lamps.md section 4). Only parameters that are trained are taken, so a
    frozen teacher inside the module stays out.

    Args:
        module: the module to train.
        weight_decay: decay of the first group, >= 0; `PretrainingTrainer` overwrites it where a schedule is given.

    Returns:
        Two groups for a torch optimizer, with the extra key "decay" (True, False), which tells the trainer where the
        weight-decay schedule applies. A group may be empty.

    Raises:
        ValueError: When `weight_decay` is negative, or the module has nothing to train.
    """
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay got {weight_decay}, expected >= 0: use 0 for none.")
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError(
            f"{type(module).__name__} got no parameter with requires_grad, expected at least one: is everything frozen?"
        )
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay, "decay": True},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "decay": False},
    ]
