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
"""The ConvNeXt in a state dict of others: its sizes and its key names, the authors' or timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from .encoder_layout import OWN_FILE, EncoderLayout, find_prefix, fold_patches, require_key

__all__ = ["ConvNeXtLayout", "read_convnext"]

#: of the keys by which it is known, named by the authors and by timm
_ENDINGS = {False: "stages.0.0.dwconv.weight", True: "stages.0.blocks.0.conv_dw.weight"}
_STEM = ("downsample_layers.0.0.weight", "downsample_layers.0.0.bias")
_BLOCK = re.compile(r"stages\.(\d+)\.(?:blocks\.)?(\d+)\.")
_NAMES: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (3, 3, 9, 3)): "convnext_tiny",
    (96, (3, 3, 27, 3)): "convnext_small",
    (128, (3, 3, 27, 3)): "convnext_base",
    (192, (3, 3, 27, 3)): "convnext_large",
}
#: how the authors' names are turned into timm's, in this order
_TIMM = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv", ".mlp.fc"),
    (r"^norm\.", "head.norm."),
)


@dataclass(frozen=True)
class ConvNeXtLayout(EncoderLayout):
    """A ConvNeXt: the encoder of Adam-v2.

    Attributes:
        timm: its keys are named as timm does, not as the authors do.
    """

    timm: bool = False

    @property
    def title(self) -> str:
        return f"ConvNeXt with depths {self.config['depths']} and width {self.config['embed_dim']}"

    @property
    def stem(self) -> tuple[str, ...]:
        return tuple(self.source_of(key) for key in _STEM)

    def source_of(self, key: str) -> str:
        for pattern, replacement in _TIMM if self.timm else ():
            key = re.sub(pattern, replacement, key)
        return self.prefix + key

    def fold(
        self,
        state: Mapping[str, Tensor],
        channel_mean: tuple[float, ...],
        channel_std: tuple[float, ...],
        mean: float,
        std: float,
        in_channels: int,
    ) -> dict[str, Tensor]:
        return fold_patches(self.stem, state, channel_mean, channel_std, mean, std, in_channels)


def read_convnext(state: Mapping[str, Tensor], source: str) -> ConvNeXtLayout | None:
    """Find the ConvNeXt in a state dict; None when there is none.

    Args:
        state: tensors by key, without ``module.``.
        source: name of the file, for messages.

    Raises:
        ValueError: when there are several, it is a ConvNeXt V2, or one for one channel: our own without its card.
    """
    for timm, ending in _ENDINGS.items():
        prefix = find_prefix(state, ending, source, "ConvNeXts")
        if prefix is not None:
            named = ConvNeXtLayout(prefix, {}, timm)
            return replace(named, config=_config(state, named, source))
    return None


def _config(state: Mapping[str, Tensor], layout: ConvNeXtLayout, source: str) -> dict[str, Any]:
    names = [key.removeprefix(layout.prefix) for key in state if key.startswith(layout.prefix)]
    if any(".grn." in name for name in names):
        raise ValueError(
            f"unknown layout in '{source}': a ConvNeXt V2, whose blocks are others; take the ConvNeXt (V1) of the same "
            "method."
        )
    width, channels, patch = require_key(state, layout.stem[0], source, "ConvNeXt").shape[:3]
    if channels == 1:  # others are trained on RGB
        raise ValueError(f"unknown layout in '{source}': {OWN_FILE}.")
    blocks: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, names)):
        stage, block = int(match[1]), int(match[2])
        blocks[stage] = max(blocks.get(stage, 0), block + 1)
    depths = [blocks.get(stage, 1) for stage in range(max(blocks) + 1)]
    return {
        "name": _NAMES.get((width, tuple(depths)), "convnext_base"),
        "spatial_dims": 2,
        "in_channels": channels,
        "embed_dim": width,
        "depths": depths,
        "patch_size": patch,
    }
