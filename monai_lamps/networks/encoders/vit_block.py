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
"""One block of a vision transformer, with torch's fused attention."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from monai.networks.blocks.transformerblock import TransformerBlock
from monai.networks.layers.drop_path import DropPath
from torch import nn

from ..recompute import Call, keep, recompute

__all__ = ["ViTBlock"]


class ViTBlock(nn.Module):
    """Self-attention and a feed-forward part, each with LayerNorm before it and its residual (ViT, arXiv 2010.11929).

    It holds the layers of a block of MONAI (parameter names are kept) and computes the same numbers. What lies between
    the linear layers is cheap but fills the memory; of it only the attention's result is kept for the backward pass
    where ``between`` recomputes.

    Args:
        block: MONAI's block, without dropout and cross-attention; its layers are shared, not copied.
        drop_path: probability in training that an image skips a part, in [0, 1).
        parts: how the attention and the feed-forward part are called as wholes.
        between: how a linear layer is called together with the norm or GELU before it.
    """

    def __init__(
        self, block: TransformerBlock, drop_path: float = 0.0, parts: Call = keep, between: Call = recompute
    ) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.drop_path = DropPath(drop_path)
        self._parts, self._between = parts, between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One block on tokens (B, N, D), float."""
        x = x + self.drop_path(self._parts(self._attention, x))
        x = x + self.drop_path(self._parts(self._feed_forward, x))
        return x

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """How much each token (row) takes of each other: (B, heads, N, N), float32, rows sum to 1.

        Args:
            x: the tokens (B, N, D) that go into the block.
        """
        q, k, _ = self._heads(self._query_key_value(x)).float()
        with torch.autocast(x.device.type, enabled=False):
            shares: torch.Tensor = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        return shares

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self._heads(self._between(self._query_key_value, x))
        out = F.scaled_dot_product_attention(q, k, v)  # [B, heads, N, D / heads]
        return cast(torch.Tensor, self.attn.out_proj(out.transpose(1, 2).flatten(2)))

    def _query_key_value(self, x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.attn.qkv(self.norm1(x)))

    def _heads(self, qkv: torch.Tensor) -> torch.Tensor:
        """From (B, N, 3 D) to queries, keys and values (3, B, heads, N, D / heads)."""
        parts: torch.Tensor = qkv.unflatten(2, (3, self.attn.num_heads, -1))
        return parts.permute(2, 0, 3, 1, 4)

    def _feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self._between(lambda tokens: self.mlp.linear1(self.norm2(tokens)), x)
        return self._between(lambda features: self.mlp.linear2(self.mlp.fn(features)), hidden)
