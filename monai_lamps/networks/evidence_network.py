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
"""Encoder with a decoder that restores the healthy image: what differs from it is the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.layers import gaussian_1d, separable_filtering
from torch import nn

from .encoders import Encoder, build_encoder
from .token_decoder import TokenDecoder

__all__ = [
    "Evidence",
    "EvidenceNetwork",
    "build_evidence_network",
    "cell_means",
    "contrast_percentile",
    "gather_clue",
    "paint_cells",
]

_VALUES = 1 << 18  # enough for a percentile near the end, and soon sorted


@dataclass(frozen=True)
class Evidence:
    """What an :class:`EvidenceNetwork` finds in a batch of images.

    Attributes:
        restored: the healthy counterparts (B, C, *spatial), float, normalised as the images. No gradient.
        pixel_map: (B, 1, *spatial), float32 in [0, 1): contrast with the healthy counterpart; above 0.5 it is larger
            than at 99.5 % of the pixels of normal images, once the scale is fitted. No gradient.
        tokens: (B, N, D), float, row-major.
        weights: (B, N), float32, > 0, their sum is 1: how much a cell counts as evidence. No gradient.
        clue: (B, D), the sum of the tokens by weight: what is seen where something differs.
        context: (B, D), the mean of the tokens: the global embedding.
    """

    restored: torch.Tensor
    pixel_map: torch.Tensor
    tokens: torch.Tensor
    weights: torch.Tensor
    clue: torch.Tensor
    context: torch.Tensor


class EvidenceNetwork(nn.Module):
    """Finds what is abnormal by restoring the normal image and looking at the contrast, then gathers its tokens.

    An independent implementation of the idea of RadLAS (ACM MM 2025, of which only the abstract is public): "input-
    normal contrast" grounds the evidence, and diagnosis derives from the tokens of that evidence. The formulas are our
    choice. With ``c`` what the decoder paints from the tokens of the image ``x``, and ``G`` a Gaussian filter::

        r   = x + c                         the restored image: c takes lesions away and leaves the rest
        r   = c                             in cells whose lesion is known and hidden from the decoder
        E   = G * |G * (x - r)|             contrast
        map = E / (E + scale)               scale: 99.5th percentile of E on normal images, see fit_scale
        s_p = mean of map in cell p + feature_weight * (1 - cos(z_p(x), z_p(r))) / 2
        w   = softmax(s / temperature)      clue = sum_p w_p z_p, context = mean_p z_p

    As it begins, nothing is corrected and nothing is evidence. (AFiRe, arXiv 2504.10972, the precedent, paints the
    whole image from the tokens: it is blurred for long, and every edge of the anatomy is contrast.)

    Restoration and weights carry no gradient in :meth:`evidence`; the tokens do, so fine-tuning trains the encoder.

    Args:
        encoder: any encoder; its coarsest tokens are the evidence's units.
        decoder: paints the tokens of this encoder: same D, cell, channels and dimensions.
        sigma: of the Gaussian filter, px, >= 0; 0 does not filter.
        temperature: of the weights, > 0.
        feature_weight: of the contrast of features, >= 0; with 0 the restored image is not encoded.

    Attributes:
        scale: () float32, > 0: the contrast that is shown as 0.5. A buffer, saved with the weights.

    Raises:
        ValueError: when the decoder does not fit the encoder, or a number is out of range.
    """

    scale: torch.Tensor

    def __init__(
        self,
        encoder: Encoder,
        decoder: TokenDecoder,
        sigma: float = 2.0,
        temperature: float = 0.1,
        feature_weight: float = 1.0,
    ) -> None:
        super().__init__()
        _check_fit(encoder, decoder)
        if sigma < 0 or temperature <= 0 or feature_weight < 0:
            raise ValueError(
                "expected sigma >= 0, temperature > 0 and feature_weight >= 0, got "
                f"{sigma}, {temperature} and {feature_weight}."
            )
        self.encoder, self.decoder = encoder, decoder
        self.sigma, self.temperature, self.feature_weight = sigma, temperature, feature_weight
        self.register_buffer("scale", torch.tensor(1.0))

    @property
    def config(self) -> dict[str, Any]:
        """What :func:`build_evidence_network` rebuilds this network from. JSON-serialisable."""
        return {
            "encoder": self.encoder.config,
            "decoder": self.decoder.config,
            "sigma": self.sigma,
            "temperature": self.temperature,
            "feature_weight": self.feature_weight,
        }

    def restore(self, images: torch.Tensor, lesion_cells: torch.Tensor | None = None) -> torch.Tensor:
        """The healthy counterparts of images.

        Args:
            images: normalised, (B, C, *spatial), each side a multiple of the encoder's cell.
            lesion_cells: (B, N), bool: cells whose tokens are hidden from the decoder, and whose pixels are painted
                anew; None where they are not known.

        Returns:
            (B, C, *spatial), float, normalised.

        Raises:
            ValueError: when shapes do not fit.
        """
        return self.decode(self.encoder.embed(images)[0], images, lesion_cells)

    def decode(
        self, tokens: torch.Tensor, images: torch.Tensor, lesion_cells: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Restore images whose tokens (B, N, D) are known already; see :meth:`restore`."""
        cell, size = self.encoder.cell, images.shape[2:]
        painted: torch.Tensor = self.decoder(tokens, [side // cell for side in size], lesion_cells)
        if lesion_cells is None:
            return images + painted
        visible = (~lesion_cells).to(images.dtype).reshape(len(images), 1, *(side // cell for side in size))
        return images * F.interpolate(visible, scale_factor=cell) + painted

    def evidence(self, images: torch.Tensor) -> Evidence:
        """Find the evidence in images; no mask is needed.

        Args:
            images: normalised, (B, C, *spatial), each side a multiple of the encoder's cell.

        Raises:
            ValueError: when shapes do not fit.
        """
        tokens, context = self.encoder.embed(images)
        with torch.no_grad():
            restored = self.decode(tokens, images)
            pixel_map = self.pixel_map(images, restored)
            weights = self.weights(pixel_map, tokens, restored)
        return Evidence(restored, pixel_map, tokens, weights, gather_clue(tokens, weights), context)

    def forward(self, images: torch.Tensor) -> Evidence:
        """The same as :meth:`evidence`."""
        return self.evidence(images)

    def contrast(self, images: torch.Tensor, restored: torch.Tensor) -> torch.Tensor:
        """E of images and their restored counterparts, (B, 1, *spatial), float32, >= 0: the mean over the channels."""
        difference = self._smooth(images.float() - restored.float()).abs().mean(dim=1, keepdim=True)
        return self._smooth(difference)

    def pixel_map(self, images: torch.Tensor, restored: torch.Tensor) -> torch.Tensor:
        """The contrast as a map in [0, 1), (B, 1, *spatial), float32."""
        contrast = self.contrast(images, restored)
        return contrast / (contrast + self.scale)

    @torch.no_grad()
    def weights(self, pixel_map: torch.Tensor, tokens: torch.Tensor, restored: torch.Tensor) -> torch.Tensor:
        """How much each cell counts as evidence.

        Args:
            pixel_map: (B, 1, *spatial), float32.
            tokens: of the images (B, N, D), float.
            restored: the restored images (B, C, *spatial), float, normalised.

        Returns:
            (B, N), float32, > 0; their sum is 1.
        """
        strength = cell_means(pixel_map, self.encoder.cell)
        if self.feature_weight:
            normal = self.encoder.embed(restored.to(pixel_map.dtype))[0]
            cosine = F.cosine_similarity(tokens.float(), normal.float(), dim=-1)
            strength = strength + self.feature_weight * (1 - cosine) / 2
        return torch.softmax(strength / self.temperature, dim=1)

    @torch.no_grad()
    def fit_scale(self, contrasts: torch.Tensor, percentile: float = 99.5) -> None:
        """Set the scale to a percentile of contrasts of normal images.

        Args:
            contrasts: any shape, float, >= 0, at least one; see :meth:`contrast`.
            percentile: in (0, 100).

        Raises:
            ValueError: when there is no contrast, or the percentile is out of range.
        """
        self.scale.copy_(contrast_percentile(contrasts, percentile))

    def _smooth(self, x: torch.Tensor) -> torch.Tensor:
        if not self.sigma:
            return x
        kernel = gaussian_1d(torch.tensor(float(self.sigma)), truncated=3.0, normalize=True).to(x)
        smoothed: torch.Tensor = separable_filtering(x, [kernel] * (x.ndim - 2), mode="replicate")
        return smoothed


def gather_clue(tokens: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The sum of tokens (B, N, D) by weights (B, N), (B, D), of the type of the tokens."""
    return (weights.to(tokens.dtype)[:, None] @ tokens)[:, 0]


def contrast_percentile(contrasts: torch.Tensor, percentile: float = 99.5) -> torch.Tensor:
    """A percentile of all values that are not NaN, at least 1e-6, () float32; of many values, of every k-th one.

    Raises:
        ValueError: when there is no value, or the percentile is out of range.
    """
    if not 0 < percentile < 100:
        raise ValueError(f"percentile must lie in (0, 100), got {percentile}.")
    values = contrasts.flatten().float()
    if not len(values):
        raise ValueError("expected contrasts of at least one pixel, got none: pass contrasts of normal images.")
    values = values[:: len(values) // _VALUES + 1]
    return torch.nanquantile(values, percentile / 100).clamp(min=1e-6)


def cell_means(x: torch.Tensor, cell: int) -> torch.Tensor:
    """Mean in every cell.

    Args:
        x: (B, 1, *spatial), float; each side a multiple of ``cell``.
        cell: px.

    Returns:
        (B, N), float, row-major.
    """
    pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
    return pool(x, cell).flatten(1)


def paint_cells(values: torch.Tensor, size: Sequence[int], cell: int) -> torch.Tensor:
    """A map of pixels from one value a cell, interpolated linearly between the centres of the cells.

    Args:
        values: (B, N), float, row-major.
        size: px along each axis, multiples of ``cell``.
        cell: px.

    Returns:
        (B, 1, *size), float.
    """
    grid = [side // cell for side in size]
    mode = "bilinear" if len(grid) == 2 else "trilinear"
    return F.interpolate(values.reshape(len(values), 1, *grid), size=tuple(size), mode=mode, align_corners=False)


def build_evidence_network(config: Mapping[str, Any]) -> EvidenceNetwork:
    """Rebuild a network from its ``config``, with random weights.

    Raises:
        ValueError: when it describes no network that this version can build.
    """
    own = dict(config)
    try:
        encoder, decoder = build_encoder(**own.pop("encoder")), TokenDecoder(**own.pop("decoder"))
        return EvidenceNetwork(encoder, decoder, **own)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"the card describes no evidence network that this version can build ({type(error).__name__}: {error})."
        ) from error


def _check_fit(encoder: Encoder, decoder: TokenDecoder) -> None:
    ours = (encoder.embed_dim, encoder.cell, encoder.in_channels, encoder.spatial_dims)
    theirs = (decoder.dim, decoder.cell, decoder.channels, decoder.spatial_dims)
    if ours != theirs:
        raise ValueError(
            f"the decoder has (dim, cell, channels, spatial_dims) = {theirs} but the encoder {ours}; build the decoder "
            "with those of the encoder."
        )
