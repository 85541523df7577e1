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
"""Alignment of two patients' images by what an encoder finds alike in them, without training."""

from __future__ import annotations

from .affine import AffineFit, AffineMap, RegistrationError
from .figures import Registration, registration
from .point_map import PointFit, PointMap, displaced_pixels, folding_share, resample_by_map
from .register import register
from .thin_plate import ThinPlateFit, ThinPlateMap

__all__ = [
    "AffineFit",
    "AffineMap",
    "PointFit",
    "PointMap",
    "RegistrationError",
    "Registration",
    "ThinPlateFit",
    "ThinPlateMap",
    "displaced_pixels",
    "folding_share",
    "register",
    "registration",
    "resample_by_map",
]
