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
"""What takes the place of pixels that a deletion or insertion curve hides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.networks.layers import GaussianFilter
from torch import Tensor

__all__ = ["Baseline", "Blurred", "Constant"]

#: from images (B, C, *spatial) to images that do not show what is looked for
Baseline = Callable[[Tensor], Tensor]


class Constant:
    """One value everywhere; 0 is the mean intensity of normalised images.

    Args:
        value: on the scale of the images.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self, images: Tensor) -> Tensor:
        """The value in the shape of the images (B, C, *spatial)."""
        return torch.full_like(images, self.value)


class Blurred:
    """The image blurred by a Gaussian, so that no edge appears where pixels are hidden.

    Args:
        share: standard deviation in shares of the shorter side, above 0. The 5 px at 224 px of Petsiuk et al. leave
            opacities of the lungs in sight, hence more by default.

    Raises:
        ValueError: when the share is not above 0.
    """

    def __init__(self, share: float = 0.1) -> None:
        if not share > 0:
            raise ValueError(f"share must be above 0, got {share}; 0.1 blurs 224 px by 22 px.")
        self.share = share

    def __call__(self, images: Tensor) -> Tensor:
        """Blurred images (B, C, *spatial)."""
        blur = GaussianFilter(images.ndim - 2, self.share * min(images.shape[2:])).to(images.device)
        lowest = images.amin(dim=tuple(range(1, images.ndim)), keepdim=True)  # beyond the border, where it is dark
        blurred: Tensor = blur(images - lowest) + lowest
        return blurred
