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

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .case import resize

__all__ = ["cut_patch", "parts_of"]


def cut_patch(image: Tensor, centre: Sequence[float], share: float, size: int) -> Tensor:
    """The square patch around a point, resized once.

    Where it reaches over the edge, the image's border pixels are repeated, so that the point stays in the middle.

    Args:
        image: (C, S, S), float.
        centre: (row, column) in shares of the side.
        share: side of the patch in shares of the image's.
        size: side of the result, px.

    Returns:
        (C, size, size).
    """
    side = image.shape[-1]
    width = max(1, round(share * side))
    starts = [round(place * side - width / 2) for place in centre]
    margins = [(max(0, -start), max(0, start + width - side)) for start in starts]
    (top, bottom), (left, right) = margins
    padded = functional.pad(image[None], (left, right, top, bottom), mode="replicate")[0]
    row, column = (start + margin[0] for start, margin in zip(starts, margins))
    return resize(padded[:, row : row + width, column : column + width], size)


def parts_of(patch: Tensor, count: int) -> list[Tensor]:
    """Cut a patch into 2, 3 or 4 parts: halves, a half and two quarters, or quarters, in reading order.

    Args:
        patch: (C, S, S).
        count: 2, 3 or 4.

    Returns:
        the parts, (C, H, W) each; they cover the patch and do not overlap.

    Raises:
        ValueError: for another count.
    """
    if count not in (2, 3, 4):
        raise ValueError(f"a patch is cut into 2, 3 or 4 parts, got {count}.")
    top, bottom = torch.tensor_split(patch, 2, dim=-2)
    halves = [list(torch.tensor_split(half, 2, dim=-1)) for half in (top, bottom)]
    return [*(halves[0] if count == 4 else [top]), *(halves[1] if count > 2 else [bottom])]
