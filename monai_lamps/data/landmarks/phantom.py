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

from pathlib import Path

from .file import save_landmarks

__all__ = ["save_phantom_landmarks"]


def save_phantom_landmarks(
    path: str | Path, n: int, size: int = 128, seed: int = 0, opacities: float = 0.5, folder: str = "images"
) -> Path:
    """Write the landmarks of drawn thoraces, those of :func:`~monai_lamps.bundle.annotated_phantoms` with the same
    arguments.

    Args:
        path: the JSON file, see :func:`~monai_lamps.data.landmarks.read_landmarks`.
        n: number of images.
        size: image side, px.
        seed: number of the series.
        opacities: share of the images with lung opacities; it has no influence on landmarks, but on what is drawn.
        folder: what the images' folder is called.

    Returns:
        the path.
    """
    from monai_lamps.data.phantom import draw_annotated_thorax  # needs torch, which readers of files do without

    images = {
        f"{folder}/thorax_{index:05d}.png": draw_annotated_thorax(index, size, seed, opacities).landmarks
        for index in range(n)
    }
    return save_landmarks(path, images)
