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

import torch
from torch import Tensor

__all__ = ["evidence_picture", "heat"]

_STOPS = (  # black, purple, orange, pale yellow
    (0.0, 0.0, 0.02),
    (0.34, 0.06, 0.43),
    (0.88, 0.39, 0.15),
    (0.99, 1.0, 0.75),
)


def evidence_picture(images: Tensor, restored: Tensor, healthy: Tensor, pixel_map: Tensor, mask: Tensor) -> Tensor:
    """Samples, one a row: the image, restored, healthy, the evidence in colour, and the true mask.

    Of volumes the central slice of the first axis, of several channels the first one is shown.

    Args:
        images, restored, healthy: (B, C, *spatial), float in [0, 1].
        pixel_map, mask: (B, 1, *spatial), float in [0, 1].

    Returns:
        (3, H, W), float.
    """
    columns = [_flat(some) for some in (images, restored, healthy, pixel_map, mask)]
    columns[3] = heat(columns[3])
    return torch.cat([torch.cat(list(column.expand(-1, 3, -1, -1)), dim=1) for column in columns], dim=2)


def heat(values: Tensor) -> Tensor:
    """Values in [0, 1], (B, 1, H, W), as colours from black over purple and orange to pale yellow, (B, 3, H, W)."""
    stops = values.new_tensor(_STOPS)
    place = values[:, 0].clamp(0, 1) * (len(stops) - 1)
    low = place.floor().long().clamp(max=len(stops) - 2)
    colours: Tensor = torch.lerp(stops[low], stops[low + 1], (place - low)[..., None])
    return colours.movedim(-1, 1)


def _flat(images: Tensor) -> Tensor:
    if images.ndim == 5:
        images = images[:, :, images.shape[2] // 2]
    return images[:, :1].float().clamp(0, 1)
