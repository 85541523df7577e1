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
"""Swin block that shifts its windows even where the grid is a single window, as the released code of Lamps does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from monai.networks.nets.swin_unetr import (
    BasicLayer,
    SwinTransformerBlock,
    get_window_size,
    window_partition,
    window_reverse,
)
from torch import nn

__all__ = ["ShiftOnSmallGridBlock", "shift_on_small_grid"]


class ShiftOnSmallGridBlock(SwinTransformerBlock):
    """MONAI's Swin block, but with the cyclic shift kept on axes where the grid equals the window.

    Swin turns the shift off there, because the one window sees everything already. The released code of Lamps
    (arXiv 2512.22872) decides by the resolution at construction, 448 px, and so still shifts and masks the 7x7 grid
    of the last stage for 224 px quadrants. Grids smaller than the window are treated as MONAI does.
    """

    def window_and_shift(self, grid: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Window and shift, in cells per axis, on a grid of this size."""
        window, shift = get_window_size(grid, self.window_size, self.shift_size)
        kept = zip(grid, self.window_size, self.shift_size, shift)
        return window, tuple(own if size == side else usual for size, side, own, usual in kept)

    def forward_part1(self, x: torch.Tensor, mask_matrix: torch.Tensor | None) -> torch.Tensor:
        """Normalised, shifted window attention on cells (B, H, W[, Z], C), float."""
        grid = tuple(x.shape[1:-1])
        window, shift = self.window_and_shift(grid)
        if shift == get_window_size(grid, self.window_size, self.shift_size)[1]:
            return cast(torch.Tensor, super().forward_part1(x, mask_matrix))
        axes = tuple(range(1, x.ndim - 1))
        x = self.norm1(x)
        pads = [-size % side for size, side in zip(grid, window)]
        x = F.pad(x, [0, 0] + [pad for after in reversed(pads) for pad in (0, after)])
        padded = list(x.shape[:-1])
        x = torch.roll(x, [-cells for cells in shift], axes)
        windows = self.attn(window_partition(x, window), mask=mask_matrix)  # [B * windows, w**n, C]
        x = window_reverse(windows.view(-1, *window, windows.shape[-1]), window, padded)
        x = torch.roll(x, shift, axes)
        inside = (slice(None), *(slice(size) for size in grid))
        return x[inside].contiguous()


def shift_on_small_grid(stages: Sequence[BasicLayer]) -> None:
    """Put :class:`ShiftOnSmallGridBlock` in the place of every shifted block of these stages, weights kept."""
    for stage in stages:
        for index, block in enumerate(stage.blocks):
            if isinstance(block, SwinTransformerBlock) and any(block.shift_size):
                stage.blocks[index] = _rebuilt(block)


def _rebuilt(block: SwinTransformerBlock) -> ShiftOnSmallGridBlock:
    attention = block.attn
    new = ShiftOnSmallGridBlock(
        dim=block.dim,
        num_heads=block.num_heads,
        window_size=block.window_size,
        shift_size=block.shift_size,
        mlp_ratio=block.mlp_ratio,
        qkv_bias=attention.qkv.bias is not None,
        drop=attention.proj_drop.p,
        attn_drop=attention.attn_drop.p,
        norm_layer=cast("type[nn.LayerNorm]", partial(nn.LayerNorm, eps=block.norm1.eps)),
        use_checkpoint=block.use_checkpoint,
        use_flash_attention=attention.use_flash_attention,
    )
    new.drop_path = block.drop_path
    new.load_state_dict(block.state_dict())
    return new
