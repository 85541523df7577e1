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
"""The probes that are cheap enough to watch a training with."""

from __future__ import annotations

from .compositionality import CompositionalityProbe
from .locality import LocalityProbe
from .position import PositionProbe
from .probe import Probe
from .warp import WarpProbe

__all__ = ["light_probes"]


def light_probes(patch_size: int = 128, patch_share: float = 0.22) -> list[Probe]:
    """The light subset: with 16 radiographs the encoder sees 32 whole ones and 256 patches.

    Correspondence under known warps, position, and compositionality of four parts need nothing but images; locality
    needs landmarks, and sees a patch for each.

    Args:
        patch_size: side to which patches are brought, px, a multiple of the encoder's cell.
        patch_share: side of a patch of position and locality in shares of the image's.
    """
    return [
        WarpProbe(),
        PositionProbe(patch_size, patch_share),
        CompositionalityProbe(patch_size, counts=(4,)),
        LocalityProbe(patch_size, patch_share),
    ]
