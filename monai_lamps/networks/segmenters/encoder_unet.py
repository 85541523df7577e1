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
"""U-Net on an encoder, with the decoder blocks of MONAI's FlexibleUNet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets.basic_unet import UpCat
from monai.networks.nets.flexible_unet import SegmentationHead
from torch import nn

from ..encoders import Encoder
from .feature_pyramid import encoder_maps
from .norm import norm_of_width

__all__ = ["EncoderUNet"]

_WIDEST = 256


class EncoderUNet(nn.Module):
    """U-Net (arXiv 1505.04597) on an encoder with its weights, 2-D or 3-D; Adam and CoDA are fine-tuned with one.

    The decoder consists of the blocks of MONAI's ``FlexibleUNet`` (``UpCat``: upsampling, concatenation with the
    encoder's map, two convolutions) down to full resolution. ``FlexibleUNet(backbone=...)`` itself builds a new encoder
    by name and gives its last block no skip; here the encoder is an existing one, and levels that it lacks, full
    resolution included, come from a light branch of its own: a 3x3 convolution of the image with ``detail_channels``
    channels, then one of stride 2 for each further level, twice as wide each time. So a Swin, whose first level is at
    1/4, still draws outlines to the pixel.

    The encoder is taken as it is; the weights of decoder and detail branch start at torch's default for convolutions
    (uniform, He et al. arXiv 1502.01852 with a = sqrt(5)), scale 1 and shift 0 of the normalisations.

    Args:
        encoder: any :class:`Encoder` whose strides double from level to level and are powers of two; becomes a part of
            this network.
        out_channels: K, classes or structures.
        decoder_channels: width of the decoder at each level below the coarsest, coarse to fine, one for each doubling
            of the resolution up to the image's. By default 16 at full resolution, twice as wide at each coarser level,
            at most 256: (256, 128, 64, 32, 16) for a cell of 32 px, as FlexibleUNet.
        detail_channels: width of the detail branch at full resolution.
        norm: normalisation of the decoder, MONAI's name or (name, arguments). Instance normalisation and a leaky ReLU,
            the defaults of MONAI's BasicUNet, work with any batch size and keep every feature alive. With the batch
            normalisation and ReLU of FlexibleUNet (``("batch", {"eps": 1e-3, "momentum": 0.1})``, ``"relu"``), and
            with ``"group"``, few images and a hundred steps often ended without a single pixel of a small structure:
            the few features at full resolution had died.
        act: activation, MONAI's name or (name, arguments).
        dropout: dropout of the decoder's convolutions, a share or MONAI's (name, arguments).
        bias: whether the decoder's convolutions have a bias.
        upsample: ``nontrainable`` (interpolation), ``deconv`` or ``pixelshuffle``.
        pre_conv: ``default`` reduces the channels by a 1x1 convolution before the upsampling, None does not; for
            ``nontrainable`` and ``pixelshuffle``.
        interp_mode: ``linear`` or ``nearest`` (that of FlexibleUNet), for ``nontrainable``.

    Attributes:
        encoder: the encoder.

    Raises:
        TypeError: when ``encoder`` is not an Encoder.
        ValueError: when its strides are no powers of two that double, or an argument has no valid value.
    """

    def __init__(
        self,
        encoder: Encoder,
        out_channels: int,
        *,
        decoder_channels: Sequence[int] | None = None,
        detail_channels: int = 16,
        norm: str | tuple = ("instance", {"affine": True}),
        act: str | tuple = ("leakyrelu", {"negative_slope": 0.1, "inplace": True}),
        dropout: float | tuple = 0.0,
        bias: bool = False,
        upsample: str = "nontrainable",
        pre_conv: str | None = "default",
        interp_mode: str = "linear",
    ) -> None:
        super().__init__()
        norm = norm if isinstance(norm, str) else tuple(norm)
        missing, doublings = _plan(encoder)
        widths = _decoder_channels(decoder_channels, doublings)
        _check_positive(out_channels=out_channels, detail_channels=detail_channels)
        dims = encoder.spatial_dims
        self.encoder = encoder
        detail = [encoder.in_channels, *(detail_channels * 2**level for level in range(missing))]
        self.detail = nn.ModuleList(
            Convolution(
                dims,
                fine,
                coarse,
                strides=1 if level == 0 else 2,
                adn_ordering="NA",
                norm=norm_of_width(norm, coarse),
                act=act,
                bias=False,
            )
            for level, (fine, coarse) in enumerate(pairwise(detail))
        )
        skips = [*detail[1:], *encoder.channels[:-1]][::-1]
        self.decoder = nn.ModuleList(
            UpCat(
                dims,
                below,
                skip,
                width,
                act,
                norm_of_width(norm, width),
                bias,
                dropout,
                upsample=upsample,
                pre_conv=pre_conv,
                interp_mode=interp_mode,
                align_corners=None,
                halves=level + 1 < doublings,
                is_pad=False,
            )
            for level, (below, skip, width) in enumerate(zip([encoder.embed_dim, *widths[:-1]], skips, widths))
        )
        self.head = SegmentationHead(dims, widths[-1], out_channels, kernel_size=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, H, W[, Z]) of images.

        Args:
            x: images (B, C, H, W[, Z]), float, prepared as the encoder expects, each side a multiple of its cell.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """
        maps = encoder_maps(self.encoder, x)
        skips = []
        for convolution in self.detail:
            x = convolution(x)
            skips.append(x)
        result = maps[-1]
        for block, skip in zip(self.decoder, [*skips, *maps[:-1]][::-1]):
            result = block(result, skip)
        logits: torch.Tensor = self.head(result)
        return logits


def _plan(encoder: Encoder) -> tuple[int, int]:
    """How many levels the detail branch makes (from full resolution), and how often the decoder doubles."""
    if not isinstance(encoder, Encoder):
        raise TypeError(f"expected an Encoder, got {type(encoder).__name__}; build one with build_encoder(name).")
    strides = encoder.strides
    first = strides[0]
    if first & (first - 1) or strides != tuple(first * 2**level for level in range(len(strides))):
        raise ValueError(
            f"a U-Net needs an encoder whose strides are powers of two and double, got strides {strides}; "
            "choose a patch size that is a power of two, or UPerNet."
        )
    if encoder.cell < 2:
        raise ValueError(f"a U-Net needs an encoder that reduces the resolution, got strides {strides}.")
    return first.bit_length() - 1, encoder.cell.bit_length() - 1


def _decoder_channels(given: Sequence[int] | None, doublings: int) -> tuple[int, ...]:
    if given is None:
        return tuple(min(_WIDEST, 16 * 2**level) for level in reversed(range(doublings)))
    if len(given) != doublings or min(given) < 1:
        raise ValueError(
            f"decoder_channels must name {doublings} positive widths, one for each doubling of the resolution from the "
            f"encoder's coarsest level to the image, got {tuple(given)}."
        )
    return tuple(given)


def _check_positive(**values: int) -> None:
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{key} must be a positive integer, got {value!r}.")
