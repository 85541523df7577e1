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

from typing import cast

import torch
from torch import Tensor, nn

from monai_lamps.methods.adam import AdamAugment

__all__ = ["CodaAugment"]

#: probability of the blur by role, as DINO has it for its first and second global view and for the local ones
_BLUR = {"student": 1.0, "teacher": 0.1, "local": 0.5}


class CodaAugment(nn.Module):
    """Brightness and contrast, blur, rotation, as :class:`~monai_lamps.methods.adam.AdamAugment` does them.

    Coda (MICCAI 2025) names colour jitter, Gaussian blur and rotation without their strengths; these are those of
    Adam-v2, by the same first author. Views are blurred with probability 1 (the student's whole), 0.1 (the teacher's)
    or 0.5 (local views).

    Args:
        size: side of a whole, px; the blur scales with it, alike for local views.
        rotation: largest angle, degrees.
        brightness, contrast: see :class:`~monai_lamps.methods.adam.AdamAugment`.
    """

    def __init__(self, size: int, rotation: float = 30.0, brightness: float = 0.4, contrast: float = 0.4) -> None:
        super().__init__()
        self.roles = nn.ModuleDict(
            {role: AdamAugment(size, brightness, contrast, rotation, blur_prob=blur) for role, blur in _BLUR.items()}
        )

    @torch.no_grad()
    def forward(self, x: Tensor, key: Tensor, role: str) -> Tensor:
        """Augment a batch of views of one role.

        Args:
            x: (B, C, *spatial) in [0, 1], 2-D or 3-D, not normalised.
            key: (B,) int64, one per view, on the device of ``x``.
            role: ``"student"``, ``"teacher"`` or ``"local"``.

        Returns:
            (B, C, *spatial) float32 in [0, 1].
        """
        return cast(Tensor, self.roles[role](x, key))
