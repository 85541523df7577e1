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
"""RadLAS: evidence first, then the decision; an independent implementation of the idea (ACM MM 2025)."""

from __future__ import annotations

from .curriculum import OBJECTIVES, radlas_curriculum
from .figures import restoration_figures
from .network import RadLASNetwork
from .pictures import evidence_picture, heat
from .radlas import RadLAS
from .views import RadLASViews, radlas_views

__all__ = [
    "OBJECTIVES",
    "RadLAS",
    "RadLASNetwork",
    "RadLASViews",
    "evidence_picture",
    "heat",
    "radlas_curriculum",
    "radlas_views",
    "restoration_figures",
]
