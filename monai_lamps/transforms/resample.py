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

import torch
import torch.nn.functional as F
from monai.config.type_definitions import NdarrayOrTensor
from monai.utils import convert_to_tensor
from torch import Tensor

__all__ = ["Box", "as_image", "check_mode", "resample_box"]

Box = tuple[tuple[float, float], ...]
"""First and last edge of a box along each spatial axis, in px of the source image (pixel k covers [k, k+1])."""

MODES = ("bilinear", "bicubic", "nearest-exact")


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
    Shrinking is antialiased. Bicubic results are clamped to the range of the cut, so that no value is invented. In 3-D
    the same kernels are applied axis by axis (torch has antialiasing in 2-D only).

    Args:
        img: (C, *spatial), float.
        box: edges along each axis, px of ``img``.
        size: side of the result, px. A box smaller than this is enlarged.
        mode: "bilinear", "bicubic" or (label maps) "nearest-exact".

    Returns:
        (C, size, ...), contiguous, of the dtype of ``img``.
    """
    edges = []
    for (start, stop), side in zip(box, img.shape[1:], strict=True):
        first = min(max(round(start), 0), side - 1)
        edges.append(slice(first, min(max(round(stop), first + 1), side)))
    index = (slice(None), *edges)
    cut = img[index]
    smooth = {"antialias": True, "align_corners": False} if mode != "nearest-exact" else {}
    if cut.ndim == 3:
        out = F.interpolate(cut[None], size=(size, size), mode=mode, **smooth)[0]
    else:  # the last two axes together, each axis before them alone
        out = F.interpolate(cut.flatten(0, -3)[None], size=(size, size), mode=mode, **smooth)[0]
        out = out.view(*cut.shape[:-2], size, size)
        for axis in range(out.ndim - 3, 0, -1):
            flat = out.flatten(0, axis - 1).flatten(2)  # (before, axis, after)
            out = F.interpolate(flat[None], size=(size, flat.shape[-1]), mode=mode, **smooth).view(
                *out.shape[:axis], size, *out.shape[axis + 1 :]
            )
    if mode == "bicubic":
        low, high = torch.aminmax(cut)
        out = out.clamp_(float(low), float(high))  # numbers: clamping by tensors is ten times slower
    return out.contiguous()
