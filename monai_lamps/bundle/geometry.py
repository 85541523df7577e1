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
"""What is known of a radiograph's own pixels after it has been resized."""

from __future__ import annotations

from monai.data import MetaTensor
from torch import Tensor, tensor

__all__ = ["original_size", "pixel_spacing"]


def original_size(image: Tensor) -> Tensor:
    """(height, width) in px of the file of a radiograph that ``LoadRadiograph`` has read, int64 (2,).

    Args:
        image: (1, H, W) with its meta data, before or after a resize.
    """
    meta = image.meta if isinstance(image, MetaTensor) else {}
    return tensor([int(meta.get("height", image.shape[-2])), int(meta.get("width", image.shape[-1]))])


def pixel_spacing(image: Tensor) -> Tensor:
    """Size of a pixel in mm along (rows, columns) after a resize, NaN where the file does not tell, float32 (2,).

    Args:
        image: (1, H, W) as resized, with the meta data of ``LoadRadiograph``.
    """
    meta = image.meta if isinstance(image, MetaTensor) else {}
    spacing = meta.get("spacing")
    if spacing is None:
        return tensor([float("nan")] * 2)
    lengths = zip(spacing, original_size(image).tolist(), image.shape[-2:])
    return tensor([float(mm) * before / after for mm, before, after in lengths])
