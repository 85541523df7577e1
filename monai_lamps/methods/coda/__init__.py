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
"""Coda: consistency and diversity of anatomical structures, from radiographs of many organs (MICCAI 2025)."""

from __future__ import annotations

from .augment import CodaAugment
from .coda import Coda
from .curriculum import OBJECTIVES, coda_curriculum
from .figures import organ_accuracy, organ_chance, prototype_figures
from .network import CodaNetwork
from .sample import RandCodaViewsD, RandCodaViewsd, RandCodaViewsDict
from .views import CodaViews

__all__ = [
    "Coda",
    "CodaAugment",
    "CodaNetwork",
    "CodaViews",
    "OBJECTIVES",
    "RandCodaViewsD",
    "RandCodaViewsDict",
    "RandCodaViewsd",
    "coda_curriculum",
    "organ_accuracy",
    "organ_chance",
    "prototype_figures",
]
