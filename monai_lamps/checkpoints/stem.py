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
"""The patch embedding of a network of RGB images, for radiographs of one channel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["fold_padded_stem", "fold_stem"]


def fold_stem(
    weight: Tensor,
    bias: Tensor,
    channel_mean: Sequence[float],
    channel_std: Sequence[float],
    mean: float,
    std: float,
    in_channels: int = 1,
) -> tuple[Tensor, Tensor]:
    """Weights that give, for a grey image normalised once, what the given ones give for its three equal channels.

    A channel that saw ``(x - m_c) / s_c`` and now sees ``y = (x - m) / s`` gets ``w_c s / s_c``, and the bias
    ``b + sum_c sum(w_c) (m - m_c) / s_c``. With one channel the weights are summed over the channels. Exact
    (computed in float64), since a patch embedding pads nothing. Where the normalisations agree, the bias stays bit for
    bit.

    Args:
        weight: (O, C, *patch), float.
        bias: (O,), float.
        channel_mean, channel_std: normalisation that the weights were trained with, one number for all channels or C.
        mean, std: normalisation from now on.
        in_channels: 1, or C to keep the channels.

    Returns:
        weight (O, in_channels, *patch) and bias (O,), of the types given.

    Raises:
        ValueError: when ``in_channels`` is neither 1 nor C, or there is another number of means or deviations.
    """
    folded, constant = _fold(weight, channel_mean, channel_std, mean, std, in_channels)
    return folded.to(weight.dtype), (bias.double() + constant.flatten(1).sum(dim=1)).to(bias.dtype)


def fold_padded_stem(
    weight: Tensor,
    channel_mean: Sequence[float],
    channel_std: Sequence[float],
    mean: float,
    std: float,
    in_channels: int = 1,
) -> Tensor:
    """:func:`fold_stem` for a first convolution that pads its input with zeros and has no bias (ResNet).

    Zeros that stand for another grey in every channel are no grey in one channel, so that no kernel of one channel and
    no bias gives the same at the border. The kernel gets one more input channel instead, which sees ones (and the same
    zeros around them), see ``constant_channel`` of :class:`~monai_lamps.networks.ResNetEncoder`; its weights are
    ``sum_c w_c (m - m_c) / s_c``. Exact, the border included.

    Args:
        weight: (O, C, *kernel), float.
        channel_mean, channel_std, mean, std, in_channels: as of :func:`fold_stem`.

    Returns:
        (O, in_channels + 1, *kernel), of the type given.

    Raises:
        ValueError: as :func:`fold_stem`.
    """
    folded, constant = _fold(weight, channel_mean, channel_std, mean, std, in_channels)
    return torch.cat([folded, constant[:, None]], dim=1).to(weight.dtype)


def _fold(
    weight: Tensor,
    channel_mean: Sequence[float],
    channel_std: Sequence[float],
    mean: float,
    std: float,
    in_channels: int,
) -> tuple[Tensor, Tensor]:
    """Kernel for the image (O, in_channels, *kernel) and for a constant 1 (O, *kernel), float64."""
    channels = weight.shape[1]
    if in_channels not in (1, channels):
        raise ValueError(
            f"the released weights take {channels} channels, which fold into 1 exactly but not into {in_channels}; "
            f"use in_channels=1 or {channels}."
        )
    if len(channel_mean) not in (1, channels) or len(channel_std) not in (1, channels):
        raise ValueError(
            f"expected one mean and deviation, or one for each of {channels} channels, got {len(channel_mean)} and "
            f"{len(channel_std)}."
        )
    full = (channels,)
    means = torch.tensor(channel_mean, dtype=torch.float64).expand(full)
    stds = torch.tensor(channel_std, dtype=torch.float64).expand(full)
    exact, shape = weight.double(), (1, -1, *[1] * (weight.ndim - 2))
    constant = (exact * ((mean - means) / stds).reshape(shape)).sum(dim=1)
    folded = exact * (std / stds).reshape(shape)
    if in_channels == 1:
        folded = folded.sum(dim=1, keepdim=True)
    return folded, constant
