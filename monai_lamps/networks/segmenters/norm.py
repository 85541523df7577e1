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
"""Normalisation of decoders that also train with batches of one image."""

from __future__ import annotations

__all__ = ["norm_of_width"]

_MOST_GROUPS = 8
_LEAST_WIDTH = 4  # channels of a group: the 1x1 map of a pyramid pooling still has something to normalise over


def norm_of_width(norm: str | tuple, channels: int) -> str | tuple:
    """MONAI's description of a normalisation, with the number of groups filled in where ``"group"`` leaves it out.

    Args:
        norm: MONAI's name of a normalisation or (name, arguments): ``"group"``, ``"batch"``,
            ``("group", {"num_groups": 4})``. A plain ``"group"`` becomes 8 groups, or fewer (a power of two) where
            8 do not divide the channels or would leave less than four channels in each.
        channels: width of the layer that is normalised.
    """
    if norm not in ("group", ("group",)):
        return norm
    groups = _MOST_GROUPS
    while groups > 1 and channels % (groups * _LEAST_WIDTH):
        groups //= 2
    return ("group", {"num_groups": groups})
