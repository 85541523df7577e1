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

"""Training: progress, schedules, curriculum, and the resumable pretraining trainer on MONAI and Ignite."""

from __future__ import annotations

from monai_lamps.engines.clip import GlobalNormClip, PerParameterClip, gradient_norms
from monai_lamps.engines.curriculum import Curriculum, Phase
from monai_lamps.engines.dense_features import PatchMaps, TokenMaps
from monai_lamps.engines.dense_inferer import DenseInferer
from monai_lamps.engines.flops import StepFlops, counting_flops, matmul_rate
from monai_lamps.engines.group_schedules import GroupSchedules
from monai_lamps.engines.nonfinite import NonFiniteGuard
from monai_lamps.engines.param_groups import (
    freeze_encoder,
    layer_decay_groups,
    parameter_levels,
    weight_decay_groups,
)
from monai_lamps.engines.precision import autocast_dtype, check_device
from monai_lamps.engines.progress import Progress
from monai_lamps.engines.schedules import Constant, Cosine, Linear, Schedule, as_schedule, scaled_lr
from monai_lamps.engines.trainer import PretrainingTrainer

__all__ = [
    "Constant",
    "Cosine",
    "Curriculum",
    "DenseInferer",
    "GlobalNormClip",
    "GroupSchedules",
    "Linear",
    "NonFiniteGuard",
    "PatchMaps",
    "PerParameterClip",
    "Phase",
    "PretrainingTrainer",
    "Progress",
    "Schedule",
    "StepFlops",
    "TokenMaps",
    "as_schedule",
    "autocast_dtype",
    "check_device",
    "counting_flops",
    "freeze_encoder",
    "gradient_norms",
    "layer_decay_groups",
    "matmul_rate",
    "parameter_levels",
    "scaled_lr",
    "weight_decay_groups",
]
