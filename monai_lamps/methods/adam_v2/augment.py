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
"""Adam-v2's photometric augmentation: how much a view is blurred depends on its role."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from monai_lamps.methods.adam import AdamAugment

__all__ = ["AdamV2Augment"]

#: probability of the blur by role: wholes, parts and the second global view; the first global view; local views
_BLUR = {"whole": 0.1, "global": 1.0, "local": 0.5}


class AdamV2Augment(nn.Module):
    """Brightness and contrast, blur, rotation, as :class:`~monai_lamps.methods.adam.AdamAugment` does them.

    Views are blurred with probability 0.1 (wholes, parts, the second global view), 1 (the first global view) or 0.5
    (local views), and rotated by up to 30 degrees in the warm-up, where they may lie anywhere, by 10 in joint training.

    Args:
        size: side of a global view, px; the blur scales with it, alike for local views, as released.
        rotation, joint_rotation: largest angle in the warm-up and in joint training, degrees.
        brightness, contrast: see :class:`~monai_lamps.methods.adam.AdamAugment`.
    """

    def __init__(
        self,
        size: int,
        rotation: float = 30.0,
        joint_rotation: float = 10.0,
        brightness: float = 0.4,
        contrast: float = 0.4,
    ) -> None:
        super().__init__()
        self.warm_up, self.joint = (
            nn.ModuleDict(
                {role: AdamAugment(size, brightness, contrast, angle, blur_prob=blur) for role, blur in _BLUR.items()}
            )
            for angle in (rotation, joint_rotation)
        )

    @torch.no_grad()
    def forward(self, x: Tensor, key: Tensor, role: str, joint: bool) -> Tensor:
        """Augment a batch of views of one role.

        Args:
            x: (B, C, *spatial) in [0, 1], 2-D or 3-D, not normalised.
            key: (B,) int64, one per view, on the device of ``x``.
            role: ``"whole"``, ``"global"`` or ``"local"``.
            joint: of joint training, not of the warm-up.

        Returns:
            (B, C, *spatial) float32 in [0, 1].
        """
        return cast(Tensor, (self.joint if joint else self.warm_up)[role](x, key))
