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
"""Residual encoders on MONAI's ResNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets.resnet import ResNet
from torch import nn

from .encoder import Encoder, register_encoder

__all__ = ["ResNetEncoder"]

# block, expansion, blocks of each stage (He et al., arXiv 1512.03385, table 1)
_SIZES: dict[str, tuple[str, int, list[int]]] = {
    "resnet18": ("basic", 1, [2, 2, 2, 2]),
    "resnet50": ("bottleneck", 4, [3, 4, 6, 3]),
}
_STRIDES = (32, 16, 8)


class _NormedResNet(ResNet):
    """MONAI's ResNet with the chosen normalisation in every block (MONAI 1.6 applies ``norm`` to the stem alone)."""

    def __init__(self, block: str, layers: list[int], planes: list[int], *, norm: str | tuple, **kwargs: Any) -> None:
        self._block_norm = norm  # set first: ResNet.__init__ calls _make_layer
        super().__init__(block, layers, planes, norm=norm, **kwargs)

    def _make_layer(self, *args: Any, **kwargs: Any) -> nn.Sequential:
        return super()._make_layer(*args, **{**kwargs, "norm": self._block_norm})


class ResNetEncoder(Encoder):
    """ResNet-18 or ResNet-50 (He et al., arXiv 1512.03385) with a selectable total stride, 2-D or 3-D.

    The modules are those of MONAI's ``ResNet`` (attribute ``resnet``; without the classifier its parameter names and
    shapes are torchvision's). The papers of the Lamps family use Swin-B and ConvNeXt; a residual network of stride 16
    or 8 is what fits small images and small machines.

    Args:
        name: ``resnet18`` or ``resnet50``.
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        stride: pixels per cell. 32: as published; 16: without the max pooling; 8: the first convolution keeps the
            resolution as well. Levels: (2, 4, 8, 16, 32), (2, 4, 8, 16) or (1, 2, 4, 8).
        base_channels: width of the first stage; the others are 2, 4 and 8 times as wide.
        norm: MONAI's name of the normalisation, or (name, arguments), for example ``("group", {"num_groups": 8})``.
        constant_channel: the first convolution sees one more channel, of ones, padded with zeros as the image is. With
            it, weights for three channels of different normalisation act on one channel exactly, see
            :func:`monai_lamps.checkpoints.fold_padded_stem`.

    Raises:
        ValueError: when an argument has no valid value.
    """

    def __init__(
        self,
        name: str = "resnet18",
        spatial_dims: int = 2,
        in_channels: int = 1,
        *,
        stride: int = 32,
        base_channels: int = 64,
        norm: str | Sequence = "batch",
        constant_channel: bool = False,
    ) -> None:
        strides, channels = self.levels(name, stride=stride, base_channels=base_channels)
        norm = norm if isinstance(norm, str) else tuple(norm)
        if norm in ("instance", ("instance",)):
            norm = ("instance", {"affine": True})  # MONAI's ResNet initialises the affine part and needs it
        own = {
            "stride": stride,
            "base_channels": base_channels,
            "norm": norm if isinstance(norm, str) else list(norm),
            "constant_channel": constant_channel,
        }
        super().__init__(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            strides=strides,
            channels=channels,
            config={"name": name, "spatial_dims": spatial_dims, "in_channels": in_channels, **own},
        )
        block, _, depths = _SIZES[name]
        self.resnet = _NormedResNet(
            block,
            depths,
            [base_channels * 2**stage for stage in range(4)],
            spatial_dims=spatial_dims,
            n_input_channels=in_channels + int(constant_channel),
            conv1_t_stride=1 if stride == 8 else 2,
            no_max_pool=stride != 32,
            feed_forward=False,
            bias_downsample=False,
            norm=norm,
        )
        if spatial_dims == 2 and "batch" in (norm if isinstance(norm, str) else norm[0]).lower():
            # faster with batch norm; group norm would copy every map back
            self.resnet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def levels(cls, name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """``(strides, channels)`` for these arguments; the stem is a level of its own only with stride 32."""
        if name not in _SIZES:
            raise ValueError(f"unknown residual network '{name}', expected one of {sorted(_SIZES)}.")
        stride, base = kwargs.get("stride", 32), kwargs.get("base_channels", 64)
        if stride not in _STRIDES:
            raise ValueError(f"stride must be one of {_STRIDES}, got {stride!r}.")
        if isinstance(base, bool) or not isinstance(base, int) or base < 1:
            raise ValueError(f"base_channels must be a positive integer, got {base!r}.")
        channels = tuple(base * 2**stage * _SIZES[name][1] for stage in range(4))
        strides = tuple(stride // 2 ** (3 - stage) for stage in range(4))
        return ((2, *strides), (base, *channels)) if stride == 32 else (strides, channels)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps fine to coarse, the stem first where it is a level of its own.

        Returns:
            one tensor (B, channels[i], H / strides[i], ...) for each level, float.

        Raises:
            ValueError: when the shape of ``x`` does not fit, or leaves nothing to normalise over while training.
        """
        self.check_input(x)
        self._check_statistics(x)
        if self.config["constant_channel"]:
            x = torch.cat((x, torch.ones_like(x[:, :1])), dim=1)
        net = self.resnet
        x = net.act(net.bn1(net.conv1(x)))
        features = [] if net.no_max_pool else [x]
        x = x if net.no_max_pool else net.maxpool(x)
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = stage(x)
            features.append(x)
        return features

    def _check_statistics(self, x: torch.Tensor) -> None:
        """Batch and instance normalisation need at least two values per channel at the coarsest level."""
        name = self.config["norm"] if isinstance(self.config["norm"], str) else self.config["norm"][0]
        name = name.lower()
        cells = 1
        for size in x.shape[2:]:
            cells *= size // self.cell
        values = cells * (x.shape[0] if "batch" in name else 1)
        if self.training and values < 2 and ("batch" in name or "instance" in name):
            raise ValueError(
                f"{name} normalisation in training needs at least two values per channel, but images of shape "
                f"{tuple(x.shape)} leave one cell of {self.cell} px; use larger images"
                f"{', a larger batch' if 'batch' in name else ''}, a smaller stride, or norm=('group', "
                "{'num_groups': 8})."
            )


for _name in _SIZES:
    register_encoder(_name, ResNetEncoder)
