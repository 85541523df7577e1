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
"""Feature pyramids: from one map of an encoder to several, and from fine and coarse maps to maps of one width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Pool
from torch import nn

from ..encoders import Encoder
from .norm import norm_of_width

__all__ = ["FeaturePyramid", "SimpleFeaturePyramid", "encoder_maps", "resize_to"]


def encoder_maps(encoder: Encoder, x: torch.Tensor) -> list[torch.Tensor]:
    """Feature maps of an encoder for a decoder, fine to coarse.

    The coarsest passes through the encoder's final LayerNorm, as its tokens did in pretraining, so that every
    parameter of the encoder is used; the others are as the stages leave them.

    Args:
        encoder: any encoder.
        x: images (B, C, H, W[, Z]), float, each side a multiple of ``encoder.cell``.

    Returns:
        one map (B, channels[i], H / strides[i], ...) for each level.
    """
    maps = encoder.features(x)
    coarsest = encoder.norm(maps[-1].movedim(1, -1)).movedim(-1, 1).contiguous()
    return [*maps[:-1], coarsest]


def resize_to(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Linear interpolation of (B, C, H, W[, Z]) to another size; corners are not aligned."""
    return F.interpolate(x, size=tuple(size), mode="bilinear" if x.ndim == 4 else "trilinear", align_corners=False)


class SimpleFeaturePyramid(nn.Module):
    """Maps of several strides from the only map of a plain encoder (ViTDet, arXiv 2203.16527, section 3).

    Finer maps come from transposed convolutions of stride 2 with a normalisation and a GELU after each, which halve
    the channels; coarser ones from max pooling of stride 2. Each map has layers of its own, as in the paper. The
    projection of all maps to one width is left to the :class:`FeaturePyramid` that follows (the paper does it here).
    Weights start at torch's default for convolutions.

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the map.
        stride: pixels per feature of the map.
        strides: pixels per feature of the maps to make, fine to coarse; each ``stride`` times a power of two.
        norm: normalisation after each transposed convolution, see :func:`norm_of_width`.

    Attributes:
        strides: as given.
        channels: channels of each map made, at least 8 or those of the encoder's map.

    Raises:
        ValueError: when a stride cannot be reached by doubling or halving.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        stride: int,
        strides: Sequence[int] = (4, 8, 16, 32),
        norm: str | tuple = "group",
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        levels = [_halvings(stride, target) for target in strides]
        floor = min(8, channels)
        self.channels = tuple(max(floor, channels // 2 ** max(0, level)) for level in levels)
        self.levels = nn.ModuleList()
        for level in levels:
            widths = [max(floor, channels // 2**step) for step in range(max(0, level) + 1)]
            steps: list[nn.Module] = [
                Convolution(
                    spatial_dims,
                    wide,
                    narrow,
                    strides=2,
                    kernel_size=2,
                    padding=0,
                    output_padding=0,
                    is_transposed=True,
                    adn_ordering="NA",
                    norm=norm_of_width(norm, narrow),
                    act="GELU",
                    bias=False,
                )
                for wide, narrow in pairwise(widths)
            ]
            steps += [Pool[Pool.MAX, spatial_dims](2, stride=2, ceil_mode=True) for _ in range(-level)]
            self.levels.append(nn.Sequential(*steps))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """From a map (B, channels, h, w[, z]) to one map for each of ``strides``; odd sides are rounded up."""
        return [level(x) for level in self.levels]


class FeaturePyramid(nn.Module):
    """Maps of one width from maps of an encoder, each with what the coarser ones know (FPN, arXiv 1612.03144).

    Every map but the coarsest is projected by a 1x1 convolution; the coarser sum, enlarged, is added; a 3x3 convolution
    smooths it. The coarsest comes in at the final width and goes out unchanged (UPerNet, arXiv 1807.10221, takes the
    pyramid pooling for it). Normalisation and ReLU follow each convolution, as in UPerNet. Weights start at torch's
    default for convolutions.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of all maps but the coarsest, fine to coarse.
        channels: width of the coarsest map and of all results.
        norm: normalisation after each convolution, see :func:`norm_of_width`.
    """

    def __init__(
        self, spatial_dims: int, in_channels: Sequence[int], channels: int, norm: str | tuple = "group"
    ) -> None:
        super().__init__()
        norm = norm_of_width(norm, channels)
        self.lateral = nn.ModuleList(
            Convolution(
                spatial_dims, width, channels, kernel_size=1, adn_ordering="NA", norm=norm, act="RELU", bias=False
            )
            for width in in_channels
        )
        self.smooth = nn.ModuleList(
            Convolution(spatial_dims, channels, channels, adn_ordering="NA", norm=norm, act="RELU", bias=False)
            for _ in in_channels
        )

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """From maps fine to coarse, the coarsest of the final width, to as many maps (B, channels, ...)."""
        above = maps[-1]
        results = [above]
        for lateral, smooth, x in zip(self.lateral[::-1], self.smooth[::-1], reversed(maps[:-1])):
            fine = lateral(x)
            above = fine + resize_to(above, fine.shape[2:])
            results.append(smooth(above))
        return results[::-1]


def _halvings(stride: int, target: int) -> int:
    """How often the stride has to be halved to reach the target; negative for doublings."""
    coarse, fine = max(stride, target), min(stride, target)
    ratio = coarse // fine if fine > 0 else 0
    if fine < 1 or ratio * fine != coarse or ratio & (ratio - 1):
        raise ValueError(
            f"stride {target} cannot be made from a map of stride {stride} by doubling or halving; "
            f"choose strides that are {stride} times a power of two."
        )
    steps = ratio.bit_length() - 1
    return steps if target < stride else -steps
