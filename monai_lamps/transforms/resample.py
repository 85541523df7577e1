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

"""Cutting a box out of an image and resizing it: the one interpolation of the data pipeline."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from monai.config.type_definitions import NdarrayOrTensor
from monai.utils import convert_to_tensor
from torch import Tensor

__all__ = ["Box", "as_image", "check_mode", "resample_box"]

Box = tuple[tuple[float, float], ...]
"""First and last edge of a box along each spatial axis, in px of the source image (pixel k covers [k, k+1])."""

MODES = ("bilinear", "bicubic", "nearest-exact")
_REACH = {"bilinear": 1, "bicubic": 2}  # half the width of a kernel, px


def check_mode(mode: str) -> str:
    """Return ``mode`` if it is an interpolation that :py:func:`resample_box` knows, else raise ValueError."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}.")
    return mode


def as_image(img: NdarrayOrTensor) -> Tensor:
    """One image as a plain float32 tensor (C, *spatial), 2-D or 3-D; raises ValueError for other shapes."""
    data: Tensor = convert_to_tensor(img, dtype=torch.float32, track_meta=False)
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise ValueError(
            f"an image must be channel-first without batch, (C, H, W) or (C, D, H, W) and not empty, got "
            f"{tuple(data.shape)}; add a channel axis (EnsureChannelFirst) or take the batch axis off."
        )
    return data


def resample_box(img: Tensor, box: Box, size: int, mode: str = "bicubic") -> Tensor:
    """Cut a box out of an image and resize it to ``size`` px along every axis, in one interpolation.

    The box's edges are rounded to whole pixels of the source (an error of at most half a source pixel at each edge).
    Linear and cubic kernels are those of ``torch.nn.functional.interpolate(antialias=True)``, axis by axis in 2-D and
    3-D (there only in 2-D): a pixel of the result lies at the same place of the box, and shrinking widens the kernel.
    Bicubic results are clamped to the range of the cut, so that no value is invented.

    Args:
        img: (C, *spatial), float.
        box: edges along each axis, px of ``img``.
        size: side of the result, px. A box smaller than this is enlarged.
        mode: "bilinear", "bicubic" or (label maps) "nearest-exact".

    Returns:
        (C, size, ...), contiguous, of the dtype of ``img``.
    """
    edges = [slice(None)]
    for (start, stop), side in zip(box, img.shape[1:], strict=True):
        first = min(max(round(start), 0), side - 1)
        edges.append(slice(first, min(max(round(stop), first + 1), side)))
    cut = img[tuple(edges)]
    if mode == "nearest-exact":
        return F.interpolate(cut[None], size=[size] * (cut.ndim - 1), mode=mode)[0]
    cut = out = cut.contiguous()
    for axis in range(1, cut.ndim):
        index, weight = _kernel(cut.shape[axis], size, mode, cut)
        lines = out.movedim(axis, 0)
        # a weighted sum of some source lines for each line of the result: what torch calls an embedding bag
        made = F.embedding_bag(index, lines.flatten(1).contiguous(), mode="sum", per_sample_weights=weight)
        out = made.view(size, *lines.shape[1:]).movedim(0, axis)
    out = made.t().contiguous().view(out.shape)  # the last axis is last: a plain transpose, which torch does in blocks
    if mode == "bicubic":
        low, high = cut.amin(), cut.amax()
        out.clamp_(float(low), float(high))  # numbers: clamping by tensors is ten times slower
    return out


def _kernel(length: int, size: int, mode: str, like: Tensor) -> tuple[Tensor, Tensor]:
    """Which pixels of an axis make each of ``size`` pixels, (size, K) int64, and with which weights, (size, K).

    In NumPy, where operations on little data cost half of torch's.
    """
    scale = length / size
    widened = max(scale, 1.0)
    reach = _REACH[mode] * widened
    centre = (np.arange(size, dtype=np.float32)[:, None] + np.float32(0.5)) * np.float32(scale)
    first = np.maximum(np.floor(centre - np.float32(reach - 0.5)), 0)
    index = first + np.arange(2 * math.ceil(reach) + 1, dtype=np.float32)
    distance = np.abs((index - (centre - np.float32(0.5))) / np.float32(widened))
    if mode == "bilinear":
        weight = np.maximum(1 - distance, 0)
    else:  # Keys' cubic convolution with a = -1/2
        near = (1.5 * distance - 2.5) * distance * distance + 1
        far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
        weight = np.where(distance < 1, near, np.where(distance < 2, far, np.float32(0)))
    weight *= index < length
    weight /= weight.sum(1, keepdims=True)
    place = np.minimum(index, length - 1).astype(np.int64)
    return torch.from_numpy(place).to(like.device), torch.from_numpy(weight).to(like)
