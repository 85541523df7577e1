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
"""Our encoders as backbones of MONAI's FlexibleUNet."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch
from monai.networks.blocks import BaseEncoder, Convolution
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE
from torch import nn

from .encoder import Encoder, build_encoder, encoder_levels, encoder_names

__all__ = ["FlexibleUNetEncoder", "register_backbone"]


class FlexibleUNetEncoder(nn.Module, BaseEncoder):
    """An encoder of ours in the form that MONAI's ``FlexibleUNet`` expects: each level 2x down, starting at 1/2.

    Registered in ``FLEXUNET_BACKBONE`` under the encoder's name by importing :mod:`monai_lamps.networks`; the names
    ``resnet18`` and ``resnet50`` are taken by MONAI's own, so ours are ``lamps_resnet18`` and ``lamps_resnet50`` there.
    Another configuration of an encoder gets a name by :func:`register_backbone`.

    Levels finer than the encoder's first (a Swin of patch 4 starts at 1/4) are supplied by a small convolutional stem,
    trained from scratch; a level at full resolution is left out. The coarsest level passes through the encoder's final
    LayerNorm, as its tokens did in pretraining, so that every parameter of the encoder is used.

    Example::

        unet = FlexibleUNet(in_channels=1, out_channels=3, backbone="swin_tiny", pretrained=False)
        unet.encoder.load_encoder(pretrained_encoder)

    Args:
        encoder_name: one of :func:`encoder_names`.
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        pretrained: must be False; trained weights come in by :meth:`load_encoder`.
        encoder_kwargs: further arguments of :func:`build_encoder`.

    Raises:
        ValueError: when ``pretrained`` is true, or the encoder's levels are not 2x apart on powers of two.
    """

    _entries: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(
        self,
        encoder_name: str,
        spatial_dims: int = 2,
        in_channels: int = 1,
        pretrained: bool = False,
        encoder_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pretrained:
            raise ValueError(
                f"no pretrained weights come with '{encoder_name}'; "
                "pass pretrained=False and put your own in with unet.encoder.load_encoder(encoder)."
            )
        kwargs = encoder_kwargs or {}
        stem_channels, self._skipped = _plan(*encoder_levels(encoder_name, **kwargs))
        self.encoder = build_encoder(encoder_name, spatial_dims=spatial_dims, in_channels=in_channels, **kwargs)
        widths = [in_channels, *stem_channels]
        self.stem = nn.ModuleList(
            Convolution(spatial_dims, fine, coarse, strides=2, kernel_size=3, act="GELU", norm="INSTANCE")
            for fine, coarse in pairwise(widths)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps at 1/2, 1/4, ... of images (B, C, H, W[, Z]), float; sides must be multiples of the cell."""
        features = self.encoder.features(x)[self._skipped :]
        features[-1] = self.encoder.norm(features[-1].movedim(1, -1)).movedim(-1, 1)
        fine = []
        for convolution in self.stem:
            x = convolution(x)
            fine.append(x)
        return fine + features

    def load_encoder(self, encoder: Encoder) -> None:
        """Take over the weights of a trained encoder.

        Args:
            encoder: an encoder of the same architecture, for example that of a finished pretraining.

        Raises:
            ValueError: when the weights do not fit, naming the differing arguments.
        """
        ours, theirs = self.encoder.config, encoder.config
        try:
            if encoder.strides != self.encoder.strides:  # weights of the same shape, but for other resolutions
                raise RuntimeError(f"strides {encoder.strides} instead of {self.encoder.strides}")
            self.encoder.load_state_dict(encoder.state_dict())
        except RuntimeError as error:
            keys = [key for key in (ours | theirs) if ours.get(key) != theirs.get(key)]
            raise ValueError(
                "the encoder does not fit this backbone; {argument: (given, expected)} = "
                f"{ {key: (theirs.get(key), ours.get(key)) for key in keys} }. Build the network with the encoder's "
                "in_channels and spatial_dims, and register its configuration with "
                "register_backbone(new_name, **encoder.config)."
            ) from error

    @classmethod
    def get_encoder_names(cls) -> list[str]:
        """Names of the registered backbones."""
        return list(cls._entries)

    @classmethod
    def get_encoder_parameters(cls) -> list[dict]:
        """Constructor arguments of each registered backbone."""
        shared = {"spatial_dims": 2, "in_channels": 1, "pretrained": False}
        return [{"encoder_name": e["name"], "encoder_kwargs": e["kwargs"], **shared} for e in cls._entries.values()]

    @classmethod
    def num_channels_per_output(cls) -> list[tuple[int, ...]]:
        """Channels of the levels of each registered backbone, fine to coarse."""
        return [entry["channels"] for entry in cls._entries.values()]

    @classmethod
    def num_outputs(cls) -> list[int]:
        """Number of levels of each registered backbone."""
        return [len(entry["channels"]) for entry in cls._entries.values()]


def register_backbone(backbone: str, name: str | None = None, **kwargs: Any) -> None:
    """Register a configuration of an encoder as a FlexibleUNet backbone.

    Args:
        backbone: the backbone name for ``FlexibleUNet(backbone=...)``.
        name: one of :func:`encoder_names`; the backbone name itself by default.
        kwargs: further arguments of :func:`build_encoder`. ``spatial_dims`` and ``in_channels`` are ignored, as
            FlexibleUNet sets them, so that ``register_backbone("mine", **encoder.config)`` works.

    Raises:
        ValueError: when the backbone name is taken by another network or configuration, or the encoder's levels are
            not powers of two, or are more than the five that FlexibleUNet accepts.
    """
    kwargs = {key: value for key, value in kwargs.items() if key not in ("spatial_dims", "in_channels")}
    name = backbone if name is None else name
    strides, channels = encoder_levels(name, **kwargs)
    stem, skipped = _plan(strides, channels)
    entry = {"name": name, "kwargs": kwargs, "channels": (*stem, *channels[skipped:])}
    taken = FLEXUNET_BACKBONE.register_dict.get(backbone)
    if taken is not None and FlexibleUNetEncoder._entries.get(backbone) != entry:
        raise ValueError(
            f"the backbone name '{backbone}' is taken by {taken['type'].__name__}; choose another name, "
            f"for example 'lamps_{backbone}'."
        )
    FlexibleUNetEncoder._entries[backbone] = entry
    FLEXUNET_BACKBONE.register_class(FlexibleUNetEncoder)


def _plan(strides: tuple[int, ...], channels: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Channels of the stem's levels (before the encoder's first), and how many levels of the encoder to leave out."""
    skipped = sum(stride < 2 for stride in strides)
    first = strides[skipped] if skipped < len(strides) else 0
    expected = tuple(first * 2**level for level in range(len(strides) - skipped))
    if first < 2 or first & (first - 1) or strides[skipped:] != expected:
        raise ValueError(
            f"FlexibleUNet needs levels at strides 2, 4, 8, ..., got an encoder with strides {strides}; "
            "choose a patch size that is a power of two."
        )
    missing = first.bit_length() - 2  # levels between 2 and the encoder's first
    stem = tuple(max(16, channels[skipped] // 2 ** (missing - level)) for level in range(missing))
    if missing + len(expected) > 5:
        raise ValueError(
            f"FlexibleUNet takes at most five levels, got an encoder with strides {strides}, which makes "
            f"{missing + len(expected)}; choose a smaller patch size or fewer stages."
        )
    return stem, skipped


for _name in encoder_names():
    register_backbone(f"lamps_{_name}" if _name in FLEXUNET_BACKBONE.register_dict else _name, _name)
