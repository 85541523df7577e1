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
"""Decoder that predicts the embeddings of hidden cells from the visible ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks.transformerblock import TransformerBlock
from monai.utils import ensure_tuple_rep
from torch import nn

from .position import sincos_position_code

__all__ = ["ContextDecoder", "fill_context", "self_attention_block"]


def fill_context(visible_tokens: torch.Tensor, visible: torch.Tensor, mask_token: torch.Tensor) -> torch.Tensor:
    """Put the tokens of the visible cells back into the whole grid, and the mask token everywhere else.

    Lamps (arXiv 2512.22872), extrapolation: the student encodes an 11x11 window of the 14x14 cells; the decoder gets
    all of them. Works without waiting for the device, so the number of visible cells is checked on the CPU only.

    Args:
        visible_tokens: (B, V, D), float, in row-major order of the visible cells.
        visible: (B, N), bool, true where a cell is visible; V of them are true in every row.
        mask_token: (1, 1, D), float; cast to the type of the tokens.

    Returns:
        tokens (B, N, D), of the type of ``visible_tokens``.

    Raises:
        ValueError: when shapes do not fit, or (on the CPU) a row does not have V visible cells.
        TypeError: when ``visible`` is not bool.
    """
    if visible.dtype != torch.bool:
        raise TypeError(f"visible must be a bool tensor, got {visible.dtype}; compare it, for example visible > 0.")
    if visible_tokens.ndim != 3 or visible.ndim != 2 or len(visible_tokens) != len(visible):
        raise ValueError(
            "expected visible_tokens (B, V, D) and visible (B, N) of one batch, "
            f"got {tuple(visible_tokens.shape)} and {tuple(visible.shape)}."
        )
    batch, count, dim = visible_tokens.shape
    if tuple(mask_token.shape) != (1, 1, dim):
        raise ValueError(f"expected a mask token of shape (1, 1, {dim}), got {tuple(mask_token.shape)}.")
    if count > visible.shape[1] or (not visible.is_cuda and bool((visible.sum(dim=1) != count).any())):
        raise ValueError(
            f"expected {count} visible cells in every row, as many as tokens, got {visible.sum(dim=1).tolist()}."
        )
    places = torch.argsort(visible.to(torch.uint8), dim=1, descending=True, stable=True)[:, :count]  # [B, V]
    filled = mask_token.to(visible_tokens.dtype).expand(batch, visible.shape[1], dim)
    return filled.scatter(1, places[..., None].expand(-1, -1, dim), visible_tokens)


class ContextDecoder(nn.Module):
    """Vision transformer that looks at visible and masked cells and predicts the embedding of each.

    Lamps (arXiv 2512.22872), extrapolation (coherence): class token and fixed sine-cosine position code, pre-norm
    blocks (MONAI's ``TransformerBlock``, LayerNorm eps 1e-5), final LayerNorm, class token dropped. There is no pixel
    head: the targets are the teacher's tokens. Of the released checkpoint, ``vitdecoder.cls_token`` is ``cls_token``
    here, ``backbone.mask_token`` is ``mask_token`` (the ``vitdecoder.mask_token`` of the file is never used),
    ``decoder_blocks`` is ``blocks`` with ``attn.proj`` as ``attn.out_proj`` and ``mlp.fc1/fc2`` as
    ``mlp.linear1/linear2``, ``decoder_norm`` is ``norm``; ``decoder_pos_embed`` equals the buffer ``position_code``,
    which is computed and not saved.

    Args:
        dim: D, the width of the encoder's tokens.
        grid: cells per side of the whole view, one number or one per axis.
        depth: number of blocks.
        num_heads: attention heads, a divisor of ``dim``.
        mlp_ratio: hidden over embedding width.
        spatial_dims: 2 or 3.

    Raises:
        ValueError: when ``dim`` does not fit ``num_heads`` or the position code, or ``depth`` is not positive.
    """

    position_code: torch.Tensor

    def __init__(
        self,
        dim: int,
        grid: int | Sequence[int],
        depth: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads must divide dim, got {num_heads} and {dim}; change one of them.")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}.")
        self.dim = dim
        self.grid = ensure_tuple_rep(grid, spatial_dims)
        code = sincos_position_code(dim, self.grid, class_token=True)
        self.register_buffer("position_code", code, persistent=False)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = nn.ModuleList(self_attention_block(dim, int(dim * mlp_ratio), num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self._initialise()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Predict the embedding of every cell.

        Args:
            tokens: (B, N, D), float, row-major; what :func:`fill_context` gives.

        Returns:
            predictions (B, N, D), float.

        Raises:
            ValueError: when N or D are not those of the grid.
        """
        cells = self.position_code.shape[1] - 1
        if tokens.ndim != 3 or tuple(tokens.shape[1:]) != (cells, self.dim):
            raise ValueError(
                f"expected tokens (B, {cells}, {self.dim}) for the grid {self.grid}, got {tuple(tokens.shape)}; "
                "build the decoder with the grid of the views."
            )
        code = self.position_code.to(tokens.dtype)
        first = (self.cls_token.to(tokens.dtype) + code[:, :1]).expand(len(tokens), -1, -1)
        x = torch.cat([first, tokens + code[:, 1:]], dim=1)  # [B, 1 + N, D]
        for block in self.blocks:
            x = block(x)
        predictions: torch.Tensor = self.norm(x)[:, 1:]
        return predictions

    def _initialise(self) -> None:
        """MAE's initialisation: Xavier weights, zero biases, tokens of deviation 0.02."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)


def self_attention_block(dim: int, mlp_dim: int, num_heads: int) -> TransformerBlock:
    """MONAI's transformer block without its part for cross-attention: tokens (B, N, dim) to (B, N, dim), float."""
    block = TransformerBlock(dim, mlp_dim, num_heads, qkv_bias=True, use_flash_attention=True)
    # MONAI always makes this norm; without cross-attention it would never get a gradient
    block.norm_cross_attn = nn.Identity()  # type: ignore[assignment]
    return block
