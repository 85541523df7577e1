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
"""MONAI's SwinUNETR in the sizes that fit a Swin encoder."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from monai.networks.nets import SwinUNETR
from torch import nn

from ..encoders import SwinEncoder

__all__ = ["build_swin_unetr"]


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
    fitting = {
        "in_channels": encoder.in_channels,
        "patch_size": 2,
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
    return SwinUNETR(out_channels=out_channels, **{**fitting, **kwargs})
