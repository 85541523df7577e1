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
"""The Swin block that the encoder runs: MONAI's layers, with less memory and a choice of shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from monai.networks.nets.swin_unetr import SwinTransformerBlock, get_window_size, window_partition, window_reverse
from torch import nn

from ..recompute import Call, keep, recompute
from .window_attention import attend, position_bias

__all__ = ["SwinBlock", "WindowRule", "shift_on_equal_grid"]

WindowRule = Callable[[Sequence[int], Sequence[int], Sequence[int]], tuple[tuple[int, ...], tuple[int, ...]]]
"""From the grid, the window and the shift of a block (cells per axis) to the window and the shift on that grid."""


def shift_on_equal_grid(
    grid: Sequence[int], window: Sequence[int], shift: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Window and shift where the cyclic shift is kept on axes whose grid equals the window.

    Swin turns the shift off there, because the one window sees everything already. The released code of Lamps
    (arXiv 2512.22872) decides by the resolution at construction, 448 px, and so still shifts and masks the 7x7 grid
    of the last stage for 224 px quadrants. Grids smaller than the window are treated as MONAI does.
    """
    used, usual = get_window_size(grid, window, shift)
    kept = zip(grid, window, shift, usual)
    return used, tuple(own if size == side else other for size, side, own, other in kept)


class SwinBlock(nn.Module):
    """Shifted window attention and a feed-forward part, each with its residual (Swin, arXiv 2103.14030, eq. 3).

    It holds the layers of a block of MONAI (parameter names are kept) and computes the same numbers. Its four linear
    layers are what costs time. What lies between them (norms, window partition, softmax, GELU) is cheap but fills the
    memory: kept for the backward pass it takes 17.5 values for each channel of a token, computed again 9.

    Args:
        block: MONAI's block, without dropout; its layers are shared, not copied.
        window_rule: window and shift on a grid; MONAI's ``get_window_size``, or :func:`shift_on_equal_grid`.
        parts: how the attention and the feed-forward part are called as wholes.
        between: how each linear layer is called together with what lies before it.
    """

    def __init__(
        self,
        block: SwinTransformerBlock,
        window_rule: WindowRule = get_window_size,
        parts: Call = keep,
        between: Call = recompute,
    ) -> None:
        super().__init__()
        self.window_size = tuple(block.window_size)
        self.shift_size = tuple(block.shift_size)
        self.window_rule = window_rule
        self.norm1, self.attn, self.drop_path = block.norm1, block.attn, block.drop_path
        self.norm2, self.mlp = block.norm2, block.mlp
        self._parts, self._between = parts, between

    def window_and_shift(self, grid: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Window and shift, in cells per axis, on a grid of this size."""
        return self.window_rule(grid, self.window_size, self.shift_size)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """One block.

        Args:
            x: cells (B, H, W[, Z], C), float.
            mask: (windows, N, N) of 0 and -100 for the pairs of tokens that a shift has put into one window; used
                where the windows are shifted.
        """
        x = x + self.drop_path(self._parts(self._attention, x, mask))
        x = x + self.drop_path(self._parts(self._feed_forward, x))
        return x

    def _attention(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        grid = x.shape[1:-1]
        window, shift = self.window_and_shift(grid)
        axes, shifted = tuple(range(1, x.ndim - 1)), any(shift)
        qkv = self._between(self._query_key_value, x, window, shift)  # [B * windows, N, 3 C]
        out = self._between(self._attend, qkv, mask if shifted else None)
        padded = [-(-size // side) * side for size, side in zip(grid, window)]
        out = cast(torch.Tensor, window_reverse(out.view(-1, *window, x.shape[-1]), window, [x.shape[0], *padded]))
        if shifted:
            out = torch.roll(out, shift, axes)
        inside = (slice(None), *(slice(size) for size in grid))
        result: torch.Tensor = out[inside].contiguous()
        return result

    def _query_key_value(self, x: torch.Tensor, window: Sequence[int], shift: Sequence[int]) -> torch.Tensor:
        """Of every token, in windows; the grid is padded to whole windows with zeros."""
        pads = [-size % side for size, side in zip(x.shape[1:-1], window)]
        x = self.norm1(x)
        if any(pads):
            x = F.pad(x, [0, 0] + [pad for after in reversed(pads) for pad in (0, after)])
        if any(shift):
            x = torch.roll(x, [-cells for cells in shift], tuple(range(1, x.ndim - 1)))
        qkv: torch.Tensor = self.attn.qkv(window_partition(x, window))
        return qkv

    def _attend(self, qkv: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        out: torch.Tensor = self.attn.proj(
            attend(qkv, position_bias(self.attn, qkv.shape[1]), mask, self.attn.num_heads)
        )
        return out

    def _feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self._between(lambda cells: self.mlp.linear1(self.norm2(cells)), x)
        return self._between(lambda features: self.mlp.linear2(self.mlp.fn(features)), hidden)
