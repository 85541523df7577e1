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
"""What Swin Transformer lies in a state dict, read off its keys and shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .encoder_layout import OWN_FILE, EncoderLayout, find_prefix, fold_patches

if TYPE_CHECKING:
    from .released_families import ReleasedFamily

__all__ = ["SwinLayout", "read_swin"]

_TABLE = "layers.0.blocks.0.attn.relative_position_bias_table"
_WINDOW = 7
_BLOCK = re.compile(r"layers\.(\d+)\.blocks\.(\d+)\.")
_ANY_TABLE = re.compile(r"layers\.(\d+)\.blocks\.\d+\.attn\.relative_position_bias_table")
_INDEX = "attn.relative_position_index"
_SIZES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "swin_tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin_small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin_base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
}
_OTHERS = (
    (r"(^|\.)swin\.layers1\.0\.", OWN_FILE),
    (r"\.attn\.logit_scale$", "a Swin Transformer V2, whose attention is another; take the Swin V1 of the same method"),
    (r"(^|\.)blocks\.0\.attn\.qkv\.weight$", "a vision transformer (ViT); take the Swin-B of the same method"),
)


@dataclass(frozen=True)
class SwinLayout(EncoderLayout):
    """A Swin Transformer in a state dict.

    Attributes:
        merging_first: the patch merging lies at the start of a stage (timm since 0.9), not at the end of the last.
    """

    merging_first: bool = False

    @property
    def title(self) -> str:
        return f"Swin with depths {self.config['depths']} and width {self.config['embed_dim']}"

    @property
    def stem(self) -> tuple[str, ...]:
        return (f"{self.prefix}patch_embed.proj.weight", f"{self.prefix}patch_embed.proj.bias")

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

    def check(self, state: Mapping[str, Tensor], targets: Mapping[str, Tensor], source: str) -> None:
        """Refuse relative positions in another order."""
        for key in filter(lambda key: key.endswith(_INDEX), targets):
            name = self.source_of(key)
            if name in state and not torch.equal(state[name].long(), targets[key].cpu().long()):
                raise ValueError(f"'{name}' in {source} orders relative positions otherwise than Swin does.")

    def computed(self, key: str) -> str | None:
        known = key.endswith((_INDEX, ".attn_mask"))
        return "computed from the sizes of window and image" if known else None

    def notes(self, family: ReleasedFamily) -> tuple[str, ...]:
        notes = []
        if self.config["small_grid_shift"]:
            notes.append("windows are shifted on a 7x7 grid, too (images of 224 px), as the released code does")
        if not family.eps_known:
            notes.append("LayerNorm eps is 1e-6 here; if the file's was 1e-5, tokens differ by about 1e-4")
        return tuple(notes)

    def source_of(self, key: str) -> str:
        match = re.fullmatch(r"swin\.layers(\d)\.0\.(.+)", key)
        if match is None:
            return self.prefix + key.removeprefix("swin.")
        stage, rest = int(match[1]) - 1, match[2].replace("mlp.linear", "mlp.fc")
        if self.merging_first and rest.startswith("downsample."):
            stage += 1
        return f"{self.prefix}layers.{stage}.{rest}"


def read_swin(state: Mapping[str, Tensor], source: str) -> SwinLayout:
    """Find the Swin Transformer in a state dict.

    Args:
        state: tensors by key, without ``module.``.
        source: name of the file, for messages.

    Raises:
        ValueError: when there is none (another network, an unknown layout), several, or its windows are not 7 wide.
    """
    prefix = _prefix(state, source)
    names = [key[len(prefix) :] for key in state if key.startswith(prefix)]
    tables = {int(match[1]): state[prefix + match[0]] for match in filter(None, map(_ANY_TABLE.fullmatch, names))}
    window = (math.isqrt(len(tables[0])) + 1) // 2
    if window != _WINDOW or len(tables[0]) != (2 * window - 1) ** 2:
        raise ValueError(
            f"the attention windows in '{source}' are {window} cells wide ('{prefix}{_TABLE}' is "
            f"{tuple(tables[0].shape)}), expected {_WINDOW}: (169, heads). Tables of another window would have to be "
            "interpolated, which changes what the weights compute; take the window-7 weights (224 or 448 px)."
        )
    depths = _depths(names)
    heads = [tables[stage].shape[1] if stage in tables else 0 for stage in range(len(depths))]
    for stage in range(1, len(heads)):
        heads[stage] = heads[stage] or 2 * heads[stage - 1]
    proj, hidden = f"{prefix}patch_embed.proj.weight", f"{prefix}layers.0.blocks.0.mlp.fc1.weight"
    for key in (proj, hidden):
        if key not in state:
            raise ValueError(f"'{source}' lacks '{key}', so it is only a part of a Swin; take the whole file.")
    width, channels, patch = state[proj].shape[:3]
    name, depths, heads = _size(width, depths, heads)
    last = f"layers.{len(depths) - 1}.downsample.reduction.weight"
    config = {
        "name": name,
        "spatial_dims": 2,
        "in_channels": channels,
        "embed_dim": width,
        "depths": depths,
        "num_heads": heads,
        "window_size": window,
        "patch_size": patch,
        "mlp_ratio": len(state[hidden]) / width,
        "qkv_bias": f"{prefix}layers.0.blocks.0.attn.qkv.bias" in state,
        "small_grid_shift": False,
    }
    return SwinLayout(prefix, config, last in names and "layers.0.downsample.reduction.weight" not in names)


def _prefix(state: Mapping[str, Tensor], source: str) -> str:
    prefix = find_prefix(state, _TABLE, source, "Swin Transformers")
    if prefix is not None:
        return prefix
    what = next((text for pattern, text in _OTHERS if any(re.search(pattern, key) for key in state)), "no encoder")
    raise ValueError(
        f"unknown layout in '{source}': {what}. Expected a Swin V1 with a key that ends in '{_TABLE}', a ResNet or a "
        f"ConvNeXt; the first keys are {list(state)[:3]}."
    )


def _depths(names: list[str]) -> list[int]:
    """Blocks of each stage by the highest number that occurs; two where a stage in between has none at all."""
    highest: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, names)):
        stage, block = int(match[1]), int(match[2])
        highest[stage] = max(highest.get(stage, 0), block + 1)
    return [highest.get(stage, 2) for stage in range(max(highest) + 1)]


def _size(width: int, depths: list[int], heads: list[int]) -> tuple[str, list[int], list[int]]:
    """The smallest Swin of the paper that has at least these blocks (some may be missing), else just these blocks."""
    for name, (known_width, known_depths, known_heads) in _SIZES.items():
        enough = len(depths) <= len(known_depths) and all(a <= b for a, b in zip(depths, known_depths))
        if (width, heads[0]) == (known_width, known_heads[0]) and enough:
            return name, list(known_depths), list(known_heads)
    return "swin_base", depths, heads
