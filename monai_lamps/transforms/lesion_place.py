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

"""Where a lesion lies in the body: its place, the tissue around it, and how it fades towards the body's edge."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["fade_in", "place_at", "tissue_around"]

_FADE = 0.03  # of the shorter side: how far inside the region a lesion has its full opacity
_TISSUE = (10, 85)  # percentiles of the grey values around a lesion between which it is drawn
_LEAST_SPAN = 0.1  # of these grey values


def place_at(allowed: Tensor, share: float) -> tuple[int, ...]:
    """The pixel that lies at a share of all allowed ones, in their order.

    Args:
        allowed: (*spatial) bool with at least one True.
        share: in [0, 1).
    """
    found = allowed.flatten().nonzero()[:, 0]
    index = int(found[int(share * len(found))])
    return tuple(int(axis) for axis in np.unravel_index(index, allowed.shape))


def tissue_around(image: Tensor, region: Tensor, box: tuple[slice, ...]) -> tuple[float, float]:
    """The dark and the bright grey value of the region in and around a box of it.

    Args:
        image: (C, *spatial) in [0, 1].
        region: (*spatial) bool.
        box: part of the image that the region reaches into.
    """
    around = tuple(
        slice(max(0, part.start - reach), part.stop + reach)
        for part in box
        for reach in [max(part.stop - part.start, min(image.shape[1:]) // 8) // 2]
    )
    values = image.mean(0)[around][region[around]]
    dark, bright = np.percentile(values.numpy(), _TISSUE).tolist()
    return dark, max(bright, dark + _LEAST_SPAN)


def fade_in(region: Tensor, box: tuple[slice, ...]) -> Tensor:
    """0 outside of the region, rising to 1 over a short way inside it, (*box) float32.

    Args:
        region: (*spatial) bool.
        box: part of the region's image.
    """
    falloff = max(1.0, _FADE * min(region.shape))
    margin = int(np.ceil(falloff))
    wide = tuple(slice(max(0, part.start - margin), part.stop + margin) for part in box)
    crop = region[wide].numpy()
    if crop.all():
        return torch.ones(region[box].shape)
    distance = ndimage.distance_transform_edt(crop)[
        tuple(slice(part.start - out.start, part.stop - out.start) for part, out in zip(box, wide))
    ]
    return torch.from_numpy((distance / falloff).clip(0, 1).astype(np.float32))
