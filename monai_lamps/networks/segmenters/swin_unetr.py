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
"""MONAI's SwinUNETR in the sizes that fit a Swin encoder, and around one."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from monai.networks.nets import SwinUNETR
from monai.networks.nets.swin_unetr import PatchMerging
from torch import nn

from ..encoders import Encoder, SwinEncoder

__all__ = ["EncoderSwinUNETR", "build_swin_unetr"]

_LOGGER = logging.getLogger(__name__)
_PATCH = 2  # px, of MONAI's network


class EncoderSwinUNETR(SwinUNETR):
    """MONAI's SwinUNETR (arXiv 2201.01266) around a Swin encoder with its weights, 2-D or 3-D.

    It computes what :func:`build_swin_unetr` does with the weights of :func:`monai_lamps.checkpoints.load_swin_unetr`,
    but the encoder stays what it is, so that it can be frozen, take a learning rate by level and be saved like that of
    any segmentation network. An encoder with patches of 4 px sees the image enlarged twice by repeated pixels, since
    this decoder starts from patches of 2 px; its coarsest token then covers half as many pixels as in pretraining.

    What the encoder does not have is random: the patch merging after the fourth stage, the convolutional blocks on the
    skips, and the decoder; the log says how many parameters each has. The encoder's final LayerNorm is not used, hence
    not trained.

    Args:
        encoder: a SwinEncoder of four stages whose width is a multiple of 12 (Swin-T, Swin-S; not Swin-B) and whose
            patches have an even number of pixels; becomes a part of this network.
        out_channels: K, classes or structures.
        norm_name: normalisation of the convolutional blocks, MONAI's name or (name, arguments).
        normalize: whether the maps of the stages are layer-normalised (without weights) before the decoder.

    Raises:
        TypeError: when ``encoder`` is not a SwinEncoder.
        ValueError: when MONAI's network cannot have the encoder's sizes; from a call, when a side of the images is no
            multiple of 32 px.
    """

    def __init__(
        self,
        encoder: Encoder,
        out_channels: int,
        *,
        norm_name: str | tuple = "instance",
        normalize: bool = True,
    ) -> None:
        fitting = _fitting(encoder)
        norm_name = norm_name if isinstance(norm_name, str) else tuple(norm_name)
        super().__init__(out_channels=out_channels, norm_name=norm_name, normalize=normalize, **fitting)
        self.swinViT = cast(Any, _HiddenStates(cast(SwinEncoder, encoder)))
        self.encoder.norm.requires_grad_(False)
        _LOGGER.info(self.report())

    @property
    def encoder(self) -> SwinEncoder:
        """The encoder."""
        return cast(_HiddenStates, self.swinViT).encoder

    def report(self) -> str:
        """How many parameters are the encoder's, and how many of which part are not."""
        parts = {**dict(self.named_children()), "swinViT": cast(_HiddenStates, self.swinViT).merging}
        names = {"swinViT": "merging after the fourth stage"}
        counts = ", ".join(f"{names.get(name, name)} ({_size(part):,})" for name, part in parts.items())
        return (
            f"SwinUNETR around {self.encoder.config['name']}: {_size(self.encoder):,} of {_size(self):,} parameters "
            f"are the encoder's; random in a new network: {counts}"
        )


class _HiddenStates(nn.Module):
    """What MONAI's network reads: patch embedding and the merged output of each stage, from an encoder's features."""

    def __init__(self, encoder: SwinEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.merging = PatchMerging(
            encoder.embed_dim, cast("type[nn.LayerNorm]", partial(nn.LayerNorm, eps=1e-6)), encoder.spatial_dims
        )

    def forward(self, x: torch.Tensor, normalize: bool = True) -> list[torch.Tensor]:
        """(B, C, H / 2, ...), (B, 2 C, H / 4, ...), ..., (B, 16 C, H / 32, ...) of images (B, in_channels, H, ...)."""
        times = self.encoder.config["patch_size"] // _PATCH
        x = F.interpolate(x, scale_factor=float(times), mode="nearest") if times > 1 else x
        merging = [*(cast(nn.Module, stage.downsample) for stage in self.encoder.stages()[:-1]), self.merging]
        states = [self.encoder.swin.patch_embed(x).movedim(1, -1)]
        states += [merge(level.movedim(1, -1)) for merge, level in zip(merging, self.encoder.features(x))]
        if normalize:
            states = [F.layer_norm(state, state.shape[-1:]) for state in states]
        return [state.movedim(-1, 1).contiguous() for state in states]


def build_swin_unetr(encoder: SwinEncoder, out_channels: int, **kwargs: Any) -> SwinUNETR:
    """A SwinUNETR (arXiv 2201.01266) that takes the weights of this encoder, 2-D or 3-D; its own are random.

    The weights go in with :func:`monai_lamps.checkpoints.load_swin_unetr`. MONAI's network always has patches of 2 px
    (its decoder ends with one doubling after the first stage), four stages and a feature size that is a multiple of
    12, so Swin-T and Swin-S fit and Swin-B, with 128, does not.

    Args:
        encoder: the encoder whose sizes are taken.
        out_channels: K, classes or structures.
        kwargs: further arguments of SwinUNETR, or others than the encoder's, such as ``norm_name``,
            ``use_checkpoint``, ``dropout_path_rate``.

    Raises:
        TypeError: when ``encoder`` is not a SwinEncoder.
        ValueError: when MONAI's network cannot have the encoder's sizes.
    """
    return SwinUNETR(out_channels=out_channels, **{**_fitting(encoder), **kwargs})


def _fitting(encoder: Encoder) -> dict[str, Any]:
    """Arguments of MONAI's network for the sizes of an encoder; the errors of :func:`build_swin_unetr`."""
    if not isinstance(encoder, SwinEncoder):
        raise TypeError(
            f"SwinUNETR takes the weights of a SwinEncoder, got {type(encoder).__name__}; "
            "use UPerNet or EncoderUNet with other encoders."
        )
    config = encoder.config
    if config["embed_dim"] % 12 or len(config["depths"]) != 4 or config["patch_size"] % 2:
        raise ValueError(
            "MONAI's SwinUNETR needs a feature size that is a multiple of 12, four stages and patches of an even "
            f"number of pixels, got embed_dim {config['embed_dim']}, depths {config['depths']} and patch_size "
            f"{config['patch_size']}; use UPerNet or EncoderUNet, which take any encoder."
        )
    return {
        "in_channels": encoder.in_channels,
        "patch_size": _PATCH,
        "depths": config["depths"],
        "num_heads": config["num_heads"],
        "window_size": config["window_size"],
        "qkv_bias": config["qkv_bias"],
        "mlp_ratio": config["mlp_ratio"],
        "feature_size": config["embed_dim"],
        "dropout_path_rate": config["drop_path"],
        "norm_layer": cast("type[nn.LayerNorm]", partial(nn.LayerNorm, eps=1e-6)),
        "patch_norm": True,
        "spatial_dims": encoder.spatial_dims,
    }


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
