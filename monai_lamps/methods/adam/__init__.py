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
"""Adam: anatomy learned from coarse to fine by contrast (arXiv 2309.15358)."""

from __future__ import annotations

from .adam import Adam, batch_accuracy
from .augment import AdamAugment
from .curriculum import StageSchedule, adam_curriculum, granularities_of, granularity_at
from .negatives import queue_and_batch_negatives, queue_negatives
from .network import AdamNetwork
from .pictures import nearest_parts, neighbour_picture, view_picture
from .sample import (
    AnatomyPartsD,
    AnatomyPartsd,
    AnatomyPartsDict,
    RandAdamViewsD,
    RandAdamViewsd,
    RandAdamViewsDict,
)

__all__ = [
    "Adam",
    "AdamAugment",
    "AdamNetwork",
    "AnatomyPartsD",
    "AnatomyPartsDict",
    "AnatomyPartsd",
    "RandAdamViewsD",
    "RandAdamViewsDict",
    "RandAdamViewsd",
    "StageSchedule",
    "adam_curriculum",
    "batch_accuracy",
    "granularities_of",
    "granularity_at",
    "nearest_parts",
    "neighbour_picture",
    "queue_and_batch_negatives",
    "queue_negatives",
    "view_picture",
]
