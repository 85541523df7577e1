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

from monai_lamps.engines import Curriculum

__all__ = ["OBJECTIVES", "coda_curriculum"]

#: the published objectives with their weights
OBJECTIVES: dict[str, float] = {"inter": 1.0, "intra": 1.0}


def coda_curriculum(inter: float = 1.0, intra: float = 1.0) -> Curriculum:
    """Coda's objectives (MICCAI 2025), both from the first step to the last.

    Args:
        inter: weight of the inter-organ contrast, >= 0; published 1. With 0 it is the ablation "intra only": nothing of
            it is built, and no view is made for it.
        intra: weight of the intra-organ self-distillation, >= 0; published 1. With 0 it is "inter only".

    Raises:
        ValueError: when a weight is negative or not finite, or both are 0.
    """
    return Curriculum([{"inter": inter, "intra": intra}])
