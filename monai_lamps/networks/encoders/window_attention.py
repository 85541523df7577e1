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
"""Attention inside the windows of a Swin transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks.nets.swin_unetr import WindowAttention

__all__ = ["attend", "attend_fused", "position_bias"]


def position_bias(attention: WindowAttention, tokens: int) -> torch.Tensor:
    """The relative position bias of every pair of tokens of a window, (heads, N, N).

    As MONAI does, a window smaller than the one of the table takes the leading part of its index.

    Args:
        attention: MONAI's module, which holds the table.
        tokens: N, tokens of the window.
    """
    index = attention.relative_position_index[:tokens, :tokens].reshape(-1)  # type: ignore[index]
    bias: torch.Tensor = attention.relative_position_bias_table[index].view(tokens, tokens, -1).permute(2, 0, 1)
    return bias


def attend(qkv: torch.Tensor, bias: torch.Tensor, mask: torch.Tensor | None, heads: int) -> torch.Tensor:
    """Softmax attention within windows (Swin, arXiv 2103.14030, eq. 4): softmax(q k / sqrt(d) + bias + mask) v.

    Two matrix products and a softmax between them, which a CPU computes at least as fast as torch's fused attention
    with a bias that is learned. A GPU does not: there :func:`attend_fused` is taken.

    Args:
        qkv: (B * W, N, 3 C), float: queries, keys and values of the N tokens of all W windows of every image.
        bias: (heads, N, N), float.
        mask: (W, N, N) of 0 and -100, or None where every token sees every other.
        heads: attention heads, a divisor of C.

    Returns:
        (B * W, N, C), of the type of ``qkv``.
    """
    if qkv.is_cuda:
        return attend_fused(qkv, bias, mask, heads)
    windows, tokens, width = qkv.shape
    q, k, v = qkv.view(windows, tokens, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
    scores = (q * (width // (3 * heads)) ** -0.5) @ k.transpose(-2, -1) + bias
    if mask is not None:
        scores = (scores.unflatten(0, (-1, len(mask))) + mask[:, None]).flatten(0, 1)
    out: torch.Tensor = (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).reshape(windows, tokens, width // 3)
    return out


def attend_fused(qkv: torch.Tensor, bias: torch.Tensor, mask: torch.Tensor | None, heads: int) -> torch.Tensor:
    """The same as :func:`attend` with torch's fused attention, in training too (MONAI fuses it in inference only).

    The windows of an image are folded into its heads, so that bias and mask are broadcast over the images and never
    repeated in memory. Arguments and result as in :func:`attend`.
    """
    count, tokens, width = qkv.shape
    windows = 1 if mask is None else len(mask)
    both = (bias if mask is None else bias + mask[:, None]).reshape(1, windows * heads, tokens, tokens)
    q, k, v = qkv.view(-1, windows, tokens, 3, heads, width // (3 * heads)).permute(3, 0, 1, 4, 2, 5).flatten(2, 3)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=both.to(q.dtype))
    result: torch.Tensor = out.unflatten(1, (windows, heads)).transpose(2, 3).reshape(count, tokens, width // 3)
    return result
