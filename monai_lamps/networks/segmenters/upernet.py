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
"""UPerNet: a feature pyramid with a pyramid pooling on top, for any encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Conv, Dropout, Pool
from torch import nn

from ..encoders import Encoder
from .feature_pyramid import FeaturePyramid, SimpleFeaturePyramid, encoder_maps, resize_to
from .norm import norm_of_width

__all__ = ["PyramidPooling", "UPerNet"]

_COARSEST = 32  # pixels per feature of the coarsest level that is made from the map of a one-level encoder


class PyramidPooling(nn.Module):
    """The pyramid pooling module (PSPNet, arXiv 1612.01105, section 3.2): a map, and what is seen in its large parts.

    The map is averaged over grids of 1x1, 2x2, ... bins; each average passes through a 1x1 convolution and is enlarged
    to the map's size again; a 3x3 convolution fuses all of them with the map. On a map with fewer cells than bins some
    bins see the same cells.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the map.
        channels: channels of each average and of the result.
        bins: bins per axis of each grid.
        norm: normalisation after each convolution, see :func:`norm_of_width`.

    Raises:
        ValueError: when ``bins`` is empty or not positive, or the normalisation has nothing to work on in one bin.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        channels: int,
        bins: Sequence[int] = (1, 2, 3, 6),
        norm: str | tuple = "group",
    ) -> None:
        super().__init__()
        name = (norm if isinstance(norm, str) else norm[0]).lower()
        if not bins or min(bins) < 1:
            raise ValueError(f"bins must name at least one grid of at least one bin per axis, got {tuple(bins)}.")
        if "instance" in name and 1 in bins:
            raise ValueError(
                f"{name} normalisation has nothing to normalise over in a grid of one bin, got bins {tuple(bins)}; "
                "choose norm='group', or bins without 1."
            )
        self._needs_batch = "batch" in name and 1 in bins
        norm = norm_of_width(norm, channels)
        self.pools = nn.ModuleList(Pool[Pool.ADAPTIVEAVG, spatial_dims](count) for count in bins)
        self.projections = nn.ModuleList(
            Convolution(
                spatial_dims, in_channels, channels, kernel_size=1, adn_ordering="NA", norm=norm, act="RELU", bias=False
            )
            for _ in bins
        )
        width = in_channels + len(bins) * channels
        self.fuse = Convolution(spatial_dims, width, channels, adn_ordering="NA", norm=norm, act="RELU", bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From a map (B, in_channels, h, w[, z]) to (B, channels, h, w[, z]).

        Raises:
            ValueError: when batch normalisation would have to be estimated from a single value in training.
        """
        if self.training and self._needs_batch and len(x) == 1:
            raise ValueError(
                "batch normalisation of the one-bin average needs more than one image in training, got a batch of 1; "
                "use larger batches, norm='group', or bins without 1."
            )
        seen = [resize_to(project(pool(x)), x.shape[2:]) for pool, project in zip(self.pools, self.projections)]
        result: torch.Tensor = self.fuse(torch.cat([x, *seen], dim=1))
        return result


class UPerNet(nn.Module):
    """Unified perceptual parsing network (Xiao et al., arXiv 1807.10221, section 3.1) on an encoder, 2-D or 3-D.

    Lamps and its siblings are fine-tuned for segmentation with it. Pyramid pooling on the coarsest map, a feature
    pyramid down to the finest, all its maps enlarged to the finest and fused by a 3x3 convolution, dropout, a 1x1
    convolution to the classes; these logits are enlarged to the image. The fused map has the stride ``finest``, so no
    convolution runs at full resolution.

    Where an encoder has only one level (or only one that is not finer than ``finest``), a
    :class:`SimpleFeaturePyramid` makes levels from ``finest`` to 32 px of it.

    The encoder is taken as it is, with its weights; those of the decoder start at torch's default for convolutions
    (uniform, He et al. arXiv 1502.01852 with a = sqrt(5)), scale 1 and shift 0 of the normalisations.

    Args:
        encoder: any :class:`Encoder`; becomes a part of this network.
        out_channels: K, classes or structures.
        channels: width of the decoder. mmsegmentation takes 512, for 150 classes and large GPUs.
        bins: bins per axis of the pyramid pooling.
        finest: pixels per feature of the finest level that is used; finer levels of the encoder are left out. 4 as in
            the paper; 2 draws finer outlines for about four times the work of the decoder.
        norm: normalisation of the decoder, MONAI's name or (name, arguments). ``"group"`` works with any batch size
            and chooses the number of groups (:func:`norm_of_width`); ``"batch"`` as published needs large batches.
        dropout: share of the fused map's channels that are set to 0 in training, in [0, 1).
        auxiliary_channels: width of the auxiliary head: a 3x3 and a 1x1 convolution on the encoder's second coarsest
            level, that is trained along (mmsegmentation: 256, with 0.4 of the loss). None: no such head.

    Attributes:
        encoder: the encoder.
        strides: pixels per feature of the fused levels, fine to coarse.

    Raises:
        TypeError: when ``encoder`` is not an Encoder.
        ValueError: when an argument has no valid value.
    """

    def __init__(
        self,
        encoder: Encoder,
        out_channels: int,
        *,
        channels: int = 128,
        bins: Sequence[int] = (1, 2, 3, 6),
        finest: int = 4,
        norm: str | tuple = "group",
        dropout: float = 0.1,
        auxiliary_channels: int | None = None,
    ) -> None:
        super().__init__()
        norm = norm if isinstance(norm, str) else tuple(norm)
        _check(encoder, out_channels, channels, finest, dropout, auxiliary_channels)
        dims = encoder.spatial_dims
        self.encoder = encoder
        self._first = _first_level(encoder.strides, finest)
        self.strides, widths = encoder.strides[self._first :], encoder.channels[self._first :]
        self.levels: SimpleFeaturePyramid | None = None
        if len(self.strides) == 1:
            made = _made_strides(self.strides[0], finest)
            self.levels = SimpleFeaturePyramid(dims, widths[0], self.strides[0], made, norm)
            self.strides, widths = self.levels.strides, self.levels.channels
        self.pooling = PyramidPooling(dims, widths[-1], channels, bins, norm)
        self.pyramid = FeaturePyramid(dims, widths[:-1], channels, norm)
        sized = norm_of_width(norm, channels)
        self.fuse = Convolution(
            dims, len(widths) * channels, channels, adn_ordering="NA", norm=sized, act="RELU", bias=False
        )
        self.dropout = Dropout[Dropout.DROPOUT, dims](dropout)
        self.classify = Conv[Conv.CONV, dims](channels, out_channels, kernel_size=1)
        self.auxiliary: nn.Module | None = None
        if auxiliary_channels is not None:
            self.auxiliary = _auxiliary_head(encoder, auxiliary_channels, out_channels, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of images.

        Args:
            x: images (B, C, H, W[, Z]), float, prepared as the encoder expects, each side a multiple of its cell.

        Returns:
            logits (B, K, H, W[, Z]). In training with an auxiliary head: a list of these and the auxiliary logits of
            the same shape, as MONAI's ``DeepSupervisionLoss(loss, weights=[1.0, 0.4])`` takes them.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """
        found = encoder_maps(self.encoder, x)
        maps = found[self._first :]
        if self.levels is not None:
            maps = self.levels(maps[0])
        maps = self.pyramid([*maps[:-1], self.pooling(maps[-1])])
        size = maps[0].shape[2:]
        fused = self.fuse(torch.cat([maps[0], *(resize_to(each, size) for each in maps[1:])], dim=1))
        logits = resize_to(self.classify(self.dropout(fused)), x.shape[2:])
        if self.auxiliary is None or not self.training:
            return logits
        return [logits, resize_to(self.auxiliary(found[max(0, len(found) - 2)]), x.shape[2:])]


def _auxiliary_head(encoder: Encoder, channels: int, out_channels: int, norm: str | tuple) -> nn.Module:
    """A 3x3 convolution to ``channels`` and a 1x1 convolution to the classes, on the second coarsest level."""
    dims = encoder.spatial_dims
    norm = norm_of_width(norm, channels)
    width = encoder.channels[max(0, len(encoder.channels) - 2)]
    return nn.Sequential(
        Convolution(dims, width, channels, adn_ordering="NA", norm=norm, act="RELU", bias=False),
        Conv[Conv.CONV, dims](channels, out_channels, kernel_size=1),
    )


def _first_level(strides: Sequence[int], finest: int) -> int:
    """The finest level of the encoder that is used; at least the coarsest is."""
    return min(sum(stride < finest for stride in strides), len(strides) - 1)


def _made_strides(stride: int, finest: int) -> tuple[int, ...]:
    """Strides made of the one level: halved as long as they are not finer than ``finest``, doubled up to 32."""
    low = stride
    while low % 2 == 0 and low // 2 >= finest:
        low //= 2
    while low < finest:
        low *= 2
    made = [low]
    while made[-1] < stride or made[-1] * 2 <= _COARSEST:
        made.append(made[-1] * 2)
    return tuple(made)


def _check(
    encoder: Encoder, out_channels: int, channels: int, finest: int, dropout: float, auxiliary: int | None
) -> None:
    if not isinstance(encoder, Encoder):
        raise TypeError(f"expected an Encoder, got {type(encoder).__name__}; build one with build_encoder(name).")
    least = {"out_channels": (out_channels, 1), "channels": (channels, 4), "finest": (finest, 1)}
    if auxiliary is not None:
        least["auxiliary_channels"] = (auxiliary, 4)
    for key, (value, smallest) in least.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise ValueError(f"{key} must be an integer of at least {smallest}, got {value!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
