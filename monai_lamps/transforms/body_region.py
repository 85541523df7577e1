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

"""Where the body is on a radiograph: air outside, collimation and markers are left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config.type_definitions import NdarrayOrTensor
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from monai_lamps.transforms.resample import as_image

__all__ = ["body_region", "lucent_part"]

_SIDE = 96  # px of the shorter side that the search is done at, at most
_SMALLEST = 0.05  # share of the largest part that another part of the body has at least
_LEVELS = (1.0, 0.5, 0.25)  # of the way from the blackest to Otsu's threshold: below it, air is looked for
_WHITE = 0.95  # grey value from which on a smooth part at the border is a collimator, or overexposed
_SMOOTH = (0.008, 0.03)  # of air: median and upper quartile of the slope, share of the image's range a coarse px
_SPECK = 0.002  # share of the image that a dark part has at least
_RIM = 2  # coarse px that the rim of a dark part is wide, whose slope does not count
_DEPTH = 0.06  # share of the coarse side that the lucent part keeps from the body's outline


def body_region(img: NdarrayOrTensor) -> Tensor:
    """The body on a radiograph whose bones are bright.

    Otsu's threshold (as AFiRe, arXiv 2504.10972, and AnatPaste use it) parts dark from bright. Air and collimated
    borders are those dark, or entirely white, parts that touch the image's border and are smooth: a lung or bowel that
    touches it has structure, and stays. Of what remains the largest connected parts are kept and their holes filled, so
    that letters in the air are left out. The search is done on a coarse image.

    Args:
        img: (C, *spatial), 2-D or 3-D, float in [0, 1]; the mean of the channels counts.

    Returns:
        (*spatial), bool; all true where no air is seen, or where the image is constant.

    Raises:
        ValueError: when the shape is not that of an image.
    """
    coarse, shape = _coarse(as_image(img))
    if coarse.max() <= coarse.min():
        return torch.ones(shape, dtype=torch.bool)
    body = ~_air(coarse)
    widened = ndimage.binary_opening(np.pad(body, 2, mode="edge"))  # the corners of the image are no thin parts
    opened = widened[(slice(2, -2),) * body.ndim]
    return _enlarged(_largest(opened if opened.any() else body), shape)


def lucent_part(img: NdarrayOrTensor, region: NdarrayOrTensor) -> Tensor:
    """The darker part of a region by Otsu's threshold, away from its outline: of a chest, mostly the lungs.

    Args:
        img: (C, *spatial), float.
        region: (*spatial), bool.

    Returns:
        (*spatial), bool, inside the region; the region itself where it is too slim or has one grey value only.

    Raises:
        ValueError: when the region has another shape than the image.
    """
    image, inside = as_image(img), torch.as_tensor(region).bool()
    if tuple(inside.shape) != tuple(image.shape[1:]):
        raise ValueError(f"region must be {tuple(image.shape[1:])}, as the image, got {tuple(inside.shape)}.")
    coarse, shape = _coarse(image)
    area = F.interpolate(inside[None, None].float(), size=coarse.shape, mode="nearest-exact")[0, 0].numpy() > 0
    values = coarse[area]
    if values.size == 0 or values.max() <= values.min():
        return inside
    deep = ndimage.binary_erosion(area, iterations=max(1, round(_DEPTH * min(area.shape))))
    dark = ndimage.binary_opening((coarse < threshold_otsu(values)) & deep)
    found: Tensor = _enlarged(_largest(dark, 0.25), shape) & inside if dark.any() else inside
    return found if found.any() else inside


def _coarse(image: Tensor) -> tuple[np.ndarray, tuple[int, ...]]:
    """The mean of the channels, averaged to a coarse grid, and the image's own shape."""
    shape = tuple(image.shape[1:])
    factor = max(1.0, min(shape) / _SIDE)
    size: Any = tuple(max(1, math.ceil(side / factor)) for side in shape)
    pool = F.adaptive_avg_pool2d if len(shape) == 2 else F.adaptive_avg_pool3d
    return pool(image.mean(0)[None, None], size)[0, 0].numpy(), shape


def _enlarged(mask: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    return F.interpolate(torch.from_numpy(mask)[None, None].float(), size=shape, mode="nearest-exact")[0, 0] > 0


def _air(coarse: np.ndarray) -> np.ndarray:
    """What is white or dark and smooth, and touches the image's border or what was found so before."""
    low, span, air = coarse.min(), coarse.max() - coarse.min(), np.zeros(coarse.shape, dtype=bool)
    slope = ndimage.gaussian_gradient_magnitude(coarse, 1.0)
    reach = threshold_otsu(coarse) + span / 256 - low  # the upper edge of the threshold's bin
    frame = np.ones(coarse.shape, dtype=bool)
    frame[(slice(1, -1),) * coarse.ndim] = False
    for candidates in (coarse >= _WHITE, *(coarse <= low + level * reach for level in _LEVELS)):
        parts = ndimage.label(candidates)[0]
        sizes = np.bincount(parts.ravel())
        for part in np.unique(parts[frame & candidates]):
            where = parts == part
            core = ndimage.binary_erosion(where, iterations=_RIM, border_value=1)
            found = np.percentile(slope[core if core.any() else where], (50, 75))
            if sizes[part] >= _SPECK * parts.size and (found < np.multiply(_SMOOTH, span)).all():
                air |= where
        frame |= ndimage.binary_dilation(air, iterations=_RIM + 1)
    return air


def _largest(mask: np.ndarray, share: float = _SMALLEST) -> np.ndarray:
    """The connected parts of at least this share of the largest, holes filled; everything where there are none."""
    parts, count = ndimage.label(mask)
    if not count:
        return np.ones_like(mask)
    sizes = np.bincount(parts.ravel())[1:]
    kept = np.flatnonzero(sizes >= share * sizes.max()) + 1
    filled: np.ndarray = ndimage.binary_fill_holes(np.isin(parts, kept))
    return filled
