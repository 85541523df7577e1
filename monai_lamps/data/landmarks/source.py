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

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .file import LandmarkFile
from .masks import MaskLandmarks
from .points import Points

__all__ = ["LandmarkSource", "NoLandmarks", "landmark_source"]


class LandmarkSource(Protocol):
    """From an item of a datalist and its masks to the points that are known in its image, px."""

    def __call__(self, item: Mapping[str, Any], masks: Mapping[str, npt.NDArray[np.bool_]]) -> Points: ...


class NoLandmarks:
    """For radiographs without landmarks."""

    def __call__(self, item: Mapping[str, Any], masks: Mapping[str, npt.NDArray[np.bool_]]) -> Points:
        """No points."""
        return {}


def landmark_source(landmarks: str | Path = "masks", per_structure: int = 0) -> LandmarkSource:
    """The source that a user names.

    Args:
        landmarks: a file (see :func:`~monai_lamps.data.landmarks.read_landmarks`), ``masks``, or ``none``.
        per_structure: how many points of each structure are taken, 0 for all.

    Raises:
        ValueError: when ``per_structure`` is negative.
        FileNotFoundError: when there is no such file.
    """
    if per_structure < 0:
        raise ValueError(f"points_per_structure must be 0 (all) or more, got {per_structure}.")
    if str(landmarks) == "none":
        return NoLandmarks()
    return MaskLandmarks(per_structure) if str(landmarks) == "masks" else LandmarkFile(landmarks, per_structure)
