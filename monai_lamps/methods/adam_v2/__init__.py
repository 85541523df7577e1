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
"""Adam-v2: localizability, composability and decomposability of anatomy."""

from __future__ import annotations

from .adam_v2 import AdamV2
from .augment import AdamV2Augment
from .crops import AdamV2Crops
from .curriculum import OBJECTIVES, adam_v2_curriculum
from .heads import PartComposer, PartDecomposer
from .network import AdamV2Network
from .sample import RandAdamV2ViewsD, RandAdamV2Viewsd, RandAdamV2ViewsDict

__all__ = [
    "AdamV2",
    "AdamV2Augment",
    "AdamV2Crops",
    "AdamV2Network",
    "OBJECTIVES",
    "PartComposer",
    "PartDecomposer",
    "RandAdamV2ViewsD",
    "RandAdamV2ViewsDict",
    "RandAdamV2Viewsd",
    "adam_v2_curriculum",
]
