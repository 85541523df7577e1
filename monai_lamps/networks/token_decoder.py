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
"""Decoder that paints an image from the tokens of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import nn

from .context_decoder import self_attention_block
from .position import sincos_position_code

__all__ = ["TokenDecoder"]

_AXES = "xyz"


class TokenDecoder(nn.Module):
    """Transformer that turns the coarsest tokens of an encoder into pixels, with cells hidden where it is asked.

    The tokens are projected to the decoder's width, the hidden ones replaced by one learned mask token, a fixed
    sine-cosine position code is added, and after some blocks every token gives the pixels of its cell (as in MAE, arXiv
    2111.06377). There are no connections past the tokens, so what is not in them cannot be painted. AFiRe (arXiv
    2504.10972), the precedent for RadLAS, has 8 blocks of width 512 with 16 heads; its mask tokens differ from place to
    place, ours is one, so that images of any size can be painted.

    Args:
        dim: D, width of the encoder's tokens.
        cell: pixels per side of a token's cell.
        width: of the decoder.
        depth: number of blocks, at least 1.
        num_heads: attention heads, a divisor of ``width``.
        channels: of the image.
        position_cells: cells per side that the position code is made for; for other grids it is evaluated between the
            cells, so that it always spans the whole image, as in :class:`~monai_lamps.networks.ViTEncoder`.
        mlp_ratio: hidden over embedding width.
        spatial_dims: 2 or 3.

    Attributes:
        config: the arguments, JSON-serialisable: ``TokenDecoder(**config)`` rebuilds it.

    Raises:
        ValueError: when ``width`` does not fit ``num_heads`` or the position code, or a number is not positive.
    """

    def __init__(
        self,
        dim: int,
        cell: int,
        width: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        channels: int = 1,
        position_cells: int = 14,
        mlp_ratio: float = 4.0,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise ValueError(f"num_heads must divide width, got {num_heads} and {width}; change one of them.")
        if width < 2 * spatial_dims:
            raise ValueError(f"width must be at least {2 * spatial_dims} for {spatial_dims} axes, got {width}.")
        if depth < 1 or position_cells < 1:
            raise ValueError(f"depth and position_cells must be at least 1, got {depth} and {position_cells}.")
        self.config: dict[str, Any] = {
            "dim": dim,
            "cell": cell,
            "width": width,
            "depth": depth,
            "num_heads": num_heads,
            "channels": channels,
            "position_cells": position_cells,
            "mlp_ratio": mlp_ratio,
            "spatial_dims": spatial_dims,
        }
        self.dim, self.cell, self.width, self.channels, self.spatial_dims = dim, cell, width, channels, spatial_dims
        self.project = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(
            self_attention_block(width, int(width * mlp_ratio), num_heads) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.pixels = nn.Linear(width, channels * cell**spatial_dims)
        self.position_cells = position_cells
        self._codes: dict[tuple[Any, ...], torch.Tensor] = {}
        self._initialise()

    def forward(self, tokens: torch.Tensor, grid: Sequence[int], hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Paint the image.

        Args:
            tokens: (B, N, D), float, row-major.
            grid: cells along each axis, N in all.
            hidden: (B, N), bool: cells whose token is replaced by the mask token; None hides none.

        Returns:
            image (B, channels, cell * grid[0], ...), float.

        Raises:
            ValueError: when shapes do not fit.
            TypeError: when ``hidden`` is not bool.
        """
        grid = tuple(int(size) for size in grid)
        cells = torch.Size(grid).numel()
        if len(grid) != self.spatial_dims or tokens.ndim != 3 or tuple(tokens.shape[1:]) != (cells, self.dim):
            raise ValueError(
                f"expected tokens (B, {cells}, {self.dim}) for a grid of {self.spatial_dims} axes, got "
                f"{tuple(tokens.shape)} and the grid {grid}."
            )
        x = self.project(tokens)  # [B, N, W]
        if hidden is not None:
            x = self._hide(x, hidden)
        x = x + self._code(grid, x)
        for block in self.blocks:
            x = block(x)
        return self._to_image(self.pixels(self.norm(x)), grid)

    def _hide(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        if hidden.dtype != torch.bool:
            raise TypeError(f"hidden must be a bool tensor, got {hidden.dtype}; compare it, for example mask > 0.")
        if hidden.shape != x.shape[:2]:
            raise ValueError(f"expected hidden cells {tuple(x.shape[:2])}, got {tuple(hidden.shape)}.")
        return torch.where(hidden[..., None], self.mask_token.to(x.dtype), x)

    def _code(self, grid: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        """The position code of a grid (1, N, W); made once for a size of grid and kept."""
        key = (*grid, like.device)
        if key not in self._codes:
            with torch.inference_mode(False):
                span = (self.position_cells,) * len(grid)
                code = sincos_position_code(self.width, grid, span=span).to(like.device)
            if torch.jit.is_tracing():  # a network is traced twice, to check it: kept codes would make them differ
                return code.to(like.dtype)
            self._codes[key] = code
        return self._codes[key].to(like.dtype)

    def _to_image(self, pixels: torch.Tensor, grid: tuple[int, ...]) -> torch.Tensor:
        """(B, N, channels * cell**n) to (B, channels, *spatial)."""
        axes = _AXES[: len(grid)]
        cells, inner = " ".join(axes), " ".join(f"p{a}" for a in axes)
        whole = " ".join(f"({a} p{a})" for a in axes)
        sizes = dict(zip(axes, grid)) | {f"p{a}": self.cell for a in axes}
        return rearrange(pixels, f"b ({cells}) (c {inner}) -> b c {whole}", **sizes)

    def _initialise(self) -> None:
        """MAE's: Xavier weights, zero biases, a mask token of deviation 0.02; but grey pixels to begin with."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.mask_token, std=0.02)
        nn.init.normal_(self.pixels.weight, std=1e-3)
