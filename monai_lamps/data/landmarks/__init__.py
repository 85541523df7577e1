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
"""Landmarks: points of the anatomy, the same ones in the same order in every image.

- ``points``: what a point is called, and which of many are taken;
- ``file``: reading and writing a file of landmarks (JSON or CSV); ``masks``: middle and extremes of a mask;
- ``phantom``: those of the drawn thorax, as a file; ``source``: the one that a user names.

Positions are ``(row, column)`` in pixels of the image file, whole numbers at pixel centres. In files they are
``[x, y]``, as in most published sets.
"""

from __future__ import annotations

from .file import LandmarkFile, read_landmarks, save_landmarks
from .masks import MaskLandmarks, mask_points
from .phantom import save_phantom_landmarks
from .points import Points, named_points
from .source import LandmarkSource, NoLandmarks, landmark_source

__all__ = [
    "LandmarkFile",
    "LandmarkSource",
    "MaskLandmarks",
    "NoLandmarks",
    "Points",
    "landmark_source",
    "mask_points",
    "named_points",
    "read_landmarks",
    "save_landmarks",
    "save_phantom_landmarks",
]
