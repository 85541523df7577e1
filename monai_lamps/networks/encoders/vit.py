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
"""Vision transformers on MONAI's TransformerBlock, as encoders."""

from __future__ import annotations

from typing import Any, cast

import torch
from monai.networks.blocks.transformerblock import TransformerBlock
from monai.networks.layers.factories import Conv
from torch import nn

from ..position import sincos_position_code
from ..recompute import recompute_policy
from .encoder import Encoder, register_encoder
from .vit_block import ViTBlock

__all__ = ["ViTEncoder"]

# embed_dim, depth, num_heads: ViT-B of Dosovitskiy et al. (arXiv 2010.11929), the others of DeiT (arXiv 2012.12877)
_SIZES: dict[str, tuple[int, int, int]] = {
    "vit_tiny": (192, 12, 3),
    "vit_small": (384, 12, 6),
    "vit_base": (768, 12, 12),
}


class ViTEncoder(Encoder):
    """Vision transformer (Dosovitskiy et al., arXiv 2010.11929) as MAE and AFiRe use it, 2-D or 3-D.

    Patches, fixed sine-cosine position code, pre-norm blocks (the layers of MONAI's ``TransformerBlock``, LayerNorm of
    eps 1e-6), final norm. There is no class token: as in all encoders the global embedding is the mean of the tokens.
    There is one level, as all blocks work at one stride; ``UPerNet`` makes its pyramid of it, and a U-Net's finer
    levels come from its own stem.

    The position code is that of ``position_cells`` cells per side. On a grid of another size it is evaluated between
    the cells, so that it always spans the whole image: an image of twice the size is one seen in finer cells.

    Weights of MAE go in as ``patch_embed.proj`` to ``patch_embed``, ``blocks.i.attn.proj`` to ``...attn.out_proj`` and
    ``mlp.fc1/fc2`` to ``mlp.linear1/linear2``, less the class token.

    Args:
        name: ``vit_tiny``, ``vit_small`` or ``vit_base`` give the published sizes; any other name needs ``embed_dim``,
            ``depth`` and ``num_heads``.
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        embed_dim: D, channels of the tokens, at least ``2 * spatial_dims``.
        depth: number of blocks.
        num_heads: attention heads, a divisor of ``embed_dim``.
        patch_size: pixels per side of a token; the cell.
        position_cells: cells per side that the position code is made for; 14 of 16 px are 224 px.
        mlp_ratio: hidden over embedding width of the feed-forward parts.
        drop_path: stochastic depth at the last block, rising linearly from 0 at the first, in [0, 1). MAE and AFiRe
            pretrain without.
        recompute: what the backward pass computes again to save memory: ``between`` (default) norms and GELU, ``all``
            whole parts (about a third more time), ``nothing``.

    Raises:
        ValueError: when an argument is missing or does not fit the others.
    """

    def __init__(
        self,
        name: str = "vit_base",
        spatial_dims: int = 2,
        in_channels: int = 1,
        *,
        embed_dim: int | None = None,
        depth: int | None = None,
        num_heads: int | None = None,
        patch_size: int = 16,
        position_cells: int = 14,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        recompute: str = "between",
    ) -> None:
        embed_dim, depth, num_heads = _sizes(name, embed_dim, depth, num_heads)
        strides, channels = self.levels(name, embed_dim=embed_dim, depth=depth, patch_size=patch_size)
        _check(embed_dim, num_heads, position_cells, mlp_ratio, drop_path, spatial_dims)
        own = {
            "embed_dim": embed_dim,
            "depth": depth,
            "num_heads": num_heads,
            "patch_size": patch_size,
            "position_cells": position_cells,
            "mlp_ratio": mlp_ratio,
            "drop_path": drop_path,
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
        self.patch_embed = Conv[Conv.CONV, spatial_dims](in_channels, embed_dim, patch_size, stride=patch_size)
        rates = [drop_path * block / max(depth - 1, 1) for block in range(depth)]
        hidden = int(embed_dim * mlp_ratio)
        self.blocks = nn.ModuleList(
            ViTBlock(TransformerBlock(embed_dim, hidden, num_heads, qkv_bias=True), rate, *calls) for rate in rates
        )
        self._initialise()
        self._codes: dict[tuple[Any, ...], torch.Tensor] = {}

    @classmethod
    def levels(cls, name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """``(strides, channels)`` for these arguments: one level, of the patches."""
        known = {key: kwargs.get(key) for key in ("embed_dim", "depth")}
        embed_dim, depth, _ = _sizes(name, num_heads=kwargs.get("num_heads", 1), **known)
        patch_size = kwargs.get("patch_size", 16)
        for key, value in (("embed_dim", embed_dim), ("depth", depth), ("patch_size", patch_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{key} must be a positive integer, got {value!r}.")
        return (patch_size,), (embed_dim,)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The map of the last block, before the final norm: one tensor (B, D, H / patch, ...), float.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """
        self.check_input(x)
        return [self._last_map(x, self._position_code(x))]

    def attentions(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What each block's heads look at, for attention roll-out (Abnar and Zuidema, arXiv 2005.00928).

        Gradients flow through them; call it in evaluation mode, where no block is skipped.

        Args:
            x: images (B, C, H, W[, Z]), float, each side a multiple of ``cell``.

        Returns:
            for each block (B, heads, N, N), float32: how much each token (row) takes of each other; rows sum to 1,
            tokens in row-major order of the cells.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """
        self.check_input(x)
        tokens, found = self._first_tokens(x, self._position_code(x)), []
        for block in self.blocks:
            found.append(cast(ViTBlock, block).attention(tokens))
            tokens = block(tokens)
        return found

    def compile_features(self, **kwargs: Any) -> None:
        """As in :class:`Encoder`; the position code is made outside of what is compiled."""
        setattr(self, "_last_map", torch.compile(self._last_map, **kwargs))  # noqa: B010

    def _first_tokens(self, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.patch_embed(x).flatten(2).transpose(1, 2)  # [B, N, D]
        # of the weights' type, not of the tokens': under autocast the sums of the residuals stay float32
        return tokens + code.to(self.patch_embed.weight.dtype)

    def _last_map(self, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """Patch embedding and blocks: what costs time, and what is compiled where a run asks for it."""
        tokens = self._first_tokens(x, code)
        for block in self.blocks:
            tokens = block(tokens)
        grid = [size // self.cell for size in x.shape[2:]]
        return cast(torch.Tensor, tokens.transpose(1, 2).unflatten(2, grid))

    def _position_code(self, x: torch.Tensor) -> torch.Tensor:
        """The code (1, N, D) of the grid of these images; made once for a size of grid and kept."""
        grid = tuple(int(size) // self.cell for size in x.shape[2:])  # int: a trace has tensors here
        key = (*grid, x.device)
        if key not in self._codes:
            with torch.inference_mode(False):
                span = (self.config["position_cells"],) * len(grid)
                code = sincos_position_code(self.embed_dim, grid, span=span).to(x.device)
            if torch.jit.is_tracing():  # a network is traced twice, to check it: kept codes would make them differ
                return code
            self._codes[key] = code
        return self._codes[key]

    def _initialise(self) -> None:
        """MAE's initialisation: Xavier weights, those of the patches as of a linear layer; biases 0; norms' eps."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.eps = 1e-6
        nn.init.xavier_uniform_(self.patch_embed.weight.view(self.embed_dim, -1))
        nn.init.zeros_(self.patch_embed.bias)


def _sizes(name: str, embed_dim: int | None, depth: int | None, num_heads: int | None) -> tuple[int, int, int]:
    """Fill what was not given from the size that the name stands for."""
    given = (embed_dim, depth, num_heads)
    if name not in _SIZES and None in given:
        raise ValueError(
            f"'{name}' is not one of the ViT sizes {sorted(_SIZES)}; "
            "give embed_dim, depth and num_heads, or take one of these names."
        )
    known = _SIZES.get(name, (0, 0, 0))
    filled = tuple(ours if own is None else own for own, ours in zip(given, known))
    return filled[0], filled[1], filled[2]


def _check(
    embed_dim: int, num_heads: int, position_cells: int, mlp_ratio: float, drop_path: float, spatial_dims: int
) -> None:
    if num_heads < 1 or embed_dim % num_heads:
        raise ValueError(f"num_heads must divide embed_dim, got {num_heads} and {embed_dim}; change one of them.")
    if spatial_dims in (2, 3) and embed_dim < 2 * spatial_dims:
        raise ValueError(f"embed_dim must be at least {2 * spatial_dims} for a position code, got {embed_dim}.")
    if isinstance(position_cells, bool) or not isinstance(position_cells, int) or position_cells < 1:
        raise ValueError(f"position_cells must be a positive integer, got {position_cells!r}.")
    if not int(embed_dim * mlp_ratio) >= 1:
        raise ValueError(f"mlp_ratio must leave at least one hidden channel, got {mlp_ratio}; usual is 4.")
    if not 0 <= drop_path < 1:
        raise ValueError(f"drop_path must lie in [0, 1), got {drop_path}.")


for _name in _SIZES:
    register_encoder(_name, ViTEncoder)
