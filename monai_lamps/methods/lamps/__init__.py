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
"""Lamps: learning anatomy from multiple perspectives via self-supervision in chest radiographs (arXiv 2512.22872)."""

from __future__ import annotations

from .crops import LampsCrops
from .cross_view import CrossView
from .curriculum import CROSS_VIEW_OBJECTIVES, OBJECTIVES, lamps_curriculum
from .geometry import LampsGeometry
from .lamps import Lamps
from .network import CrossViewHeads, LampsNetwork
from .pictures import lamps_pictures, order_map
from .sample import RandLampsGeometryD, RandLampsGeometryd, RandLampsGeometryDict

__all__ = [
    "CROSS_VIEW_OBJECTIVES",
    "CrossView",
    "CrossViewHeads",
    "Lamps",
    "LampsCrops",
    "LampsGeometry",
    "LampsNetwork",
    "OBJECTIVES",
    "RandLampsGeometryD",
    "RandLampsGeometryDict",
    "RandLampsGeometryd",
    "lamps_curriculum",
    "lamps_pictures",
    "order_map",
]
