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
"""ConvNeXt, which MONAI lacks, as an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from monai.networks.layers.drop_path import DropPath
from monai.networks.layers.factories import Conv
from torch import nn

from ..recompute import Call, recompute_policy
from .encoder import Encoder, register_encoder

__all__ = ["ConvNeXtEncoder"]

# embed_dim and depths of the ConvNeXt paper (Liu et al., arXiv 2201.03545, section 3)
_SIZES: dict[str, tuple[int, tuple[int, ...]]] = {
    "convnext_tiny": (96, (3, 3, 9, 3)),
    "convnext_small": (96, (3, 3, 27, 3)),
    "convnext_base": (128, (3, 3, 27, 3)),
    "convnext_large": (192, (3, 3, 27, 3)),
}


class ConvNeXtEncoder(Encoder):
    """ConvNeXt (Liu et al., arXiv 2201.03545), the backbone of CoDA and of the later Adam, 2-D or 3-D.

    A stem that cuts the image into patches, then stages of residual blocks: depthwise 7x7 convolution, LayerNorm,
    two linear layers with GELU between them, layer scale. LayerNorm and a 2x2 convolution of stride 2 lie between the
    stages. Every map lies in memory with its channels last, whatever the memory format of the module, because the
    LayerNorms leave it so: norms and linear layers then need no copy.

    Parameter names and shapes are those of the authors' implementation, the final ``norm`` included, so that a
    published state dict goes in without its classifier (and, for one channel, with the stem summed over RGB)::

        state = {key: value for key, value in published["model"].items() if not key.startswith("head.")}
        state["downsample_layers.0.0.weight"] = state["downsample_layers.0.0.weight"].sum(1, keepdim=True)
        ConvNeXtEncoder("convnext_base").load_state_dict(state)

    The classifier of the paper normalises the mean of the features; here, as in all encoders, ``norm`` acts on the
    tokens, whose mean is then taken.

    Args:
        name: ``convnext_tiny``, ``convnext_small``, ``convnext_base`` or ``convnext_large`` give the sizes of the
            paper; any other name needs ``embed_dim`` and ``depths``.
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        embed_dim: channels after the stem; they double from stage to stage.
        depths: blocks of each stage.
        patch_size: pixels per side of a patch of the stem; ``cell = patch_size * 2**(stages - 1)``.
        drop_path: stochastic depth at the last block, rising linearly from 0 at the first, in [0, 1). The paper, with
            labels on ImageNet-1k: 0.1, 0.4, 0.5, 0.5 for tiny to large.
        layer_scale: initial factor of every residual branch, a parameter for each channel.
        recompute: what the backward pass computes again to save memory: ``between`` (default) norms and GELU, which lie
            between the linear layers, ``all`` whole blocks (about a third more time), ``nothing``.

    Raises:
        ValueError: when an argument is missing or has no valid value.
    """

    def __init__(
        self,
        name: str = "convnext_base",
        spatial_dims: int = 2,
        in_channels: int = 1,
        *,
        embed_dim: int | None = None,
        depths: Sequence[int] | None = None,
        patch_size: int = 4,
        drop_path: float = 0.1,
        layer_scale: float = 1e-6,
        recompute: str = "between",
    ) -> None:
        embed_dim, depths = _sizes(name, embed_dim, depths)
        strides, channels = self.levels(name, embed_dim=embed_dim, depths=depths, patch_size=patch_size)
        _check(drop_path, layer_scale)
        own = {
            "embed_dim": embed_dim,
            "depths": list(depths),
            "patch_size": patch_size,
            "drop_path": drop_path,
            "layer_scale": layer_scale,
            "recompute": recompute,
        }
        super().__init__(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            strides=strides,
            channels=channels,
            config={"name": name, "spatial_dims": spatial_dims, "in_channels": in_channels, **own},
        )
        calls = recompute_policy(recompute)
        conv = Conv[Conv.CONV, spatial_dims]
        stem = nn.Sequential(conv(in_channels, embed_dim, patch_size, stride=patch_size), _ChannelNorm(embed_dim))
        self.downsample_layers = nn.ModuleList([stem])
        for fine, coarse in pairwise(channels):
            self.downsample_layers.append(nn.Sequential(_ChannelNorm(fine), conv(fine, coarse, 2, stride=2)))
        last = max(sum(depths) - 1, 1)
        rates = (drop_path * block / last for block in range(sum(depths)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(dim, spatial_dims, next(rates), layer_scale, *calls) for _ in range(depth)))
            for dim, depth in zip(channels, depths)
        )
        self.apply(_init_weights)

    @classmethod
    def levels(cls, name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """``(strides, channels)`` for these arguments: strides patch, 2 patch, ...; channels D, 2 D, ..."""
        embed_dim, depths = _sizes(name, kwargs.get("embed_dim"), kwargs.get("depths"))
        patch_size = kwargs.get("patch_size", 4)
        for key, value in (("embed_dim", embed_dim), ("patch_size", patch_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{key} must be a positive integer, got {value!r}.")
        if not depths or min(depths) < 1:
            raise ValueError(f"depths must name at least one stage, each with at least one block, got {depths}.")
        levels = range(len(depths))
        return tuple(patch_size * 2**level for level in levels), tuple(embed_dim * 2**level for level in levels)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Stage outputs, fine to coarse: (B, channels[i], H / strides[i], ...), float, channels last in memory.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """
        self.check_input(x)
        features = []
        for downsample, stage in zip(self.downsample_layers, self.stages):
            x = stage(downsample(x))
            features.append(x)
        return features


class _ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W[, Z]); the result lies in memory with its channels last."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class _Block(nn.Module):
    """Residual block of ConvNeXt on (B, C, H, W[, Z]); behind the convolution it computes on (B, H, W[, Z], C).

    ``whole`` and ``between`` say how the branch, and each linear layer with what lies before it, are called.
    """

    def __init__(
        self, dim: int, spatial_dims: int, drop_path: float, layer_scale: float, whole: Call, between: Call
    ) -> None:
        super().__init__()
        self.dwconv = Conv[Conv.CONV, spatial_dims](dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), layer_scale))
        self.drop_path = DropPath(drop_path)
        self._whole, self._between = whole, between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, x + self.drop_path(self._whole(self._branch, x)).movedim(-1, 1))

    def _branch(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self._between(lambda cells: self.pwconv1(self.norm(cells)), self.dwconv(x).movedim(1, -1))
        out: torch.Tensor = self.gamma * self._between(lambda features: self.pwconv2(self.act(features)), hidden)
        return out


def _init_weights(module: nn.Module) -> None:
    """The paper's initialisation: truncated normal of deviation 0.02, biases 0."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(cast(torch.Tensor, module.bias))


def _sizes(name: str, embed_dim: int | None, depths: Sequence[int] | None) -> tuple[int, tuple[int, ...]]:
    """Fill what was not given from the size that the name stands for."""
    if name not in _SIZES and (embed_dim is None or depths is None):
        raise ValueError(
            f"'{name}' is not one of the ConvNeXt sizes {sorted(_SIZES)}; "
            "give embed_dim and depths, or take one of these names."
        )
    known = _SIZES.get(name, (0, ()))
    return known[0] if embed_dim is None else embed_dim, known[1] if depths is None else tuple(depths)


def _check(drop_path: float, layer_scale: float) -> None:
    if not 0 <= drop_path < 1:
        raise ValueError(f"drop_path must lie in [0, 1), got {drop_path}.")
    if not layer_scale > 0:
        raise ValueError(f"layer_scale must be positive, got {layer_scale}; the paper takes 1e-6.")


for _name in _SIZES:
    register_encoder(_name, ConvNeXtEncoder)
