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
"""The ViT encoder against the paper's formulas, MONAI's block, and the sizes, names and initialisation as published."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from monai.networks.blocks.transformerblock import TransformerBlock
from torch import nn

from monai_lamps.networks import build_encoder, sincos_position_code
from monai_lamps.networks.encoders import ViTEncoder
from monai_lamps.networks.encoders.vit_block import ViTBlock

TOY = {"embed_dim": 12, "depth": 3, "num_heads": 3, "patch_size": 4, "position_cells": 4}


def attention_of(weights: Mapping[str, torch.Tensor], name: str, x: torch.Tensor, heads: int) -> tuple:
    """Attention matrices and values of a block on tokens (B, N, D), written down from the paper's appendix A."""
    qkv = normalise(weights, f"{name}.norm1", x) @ weights[f"{name}.attn.qkv.weight"].T
    parts = (qkv + weights[f"{name}.attn.qkv.bias"]).chunk(3, dim=-1)
    width = x.shape[-1] // heads
    q, k, v = (torch.stack(part.split(width, dim=-1), 1) for part in parts)  # [B, heads, N, width]
    return torch.softmax(torch.einsum("bhnd,bhmd->bhnm", q, k) / width**0.5, -1), v


def normalise(weights: Mapping[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def reference(weights: Mapping[str, torch.Tensor], x: torch.Tensor, heads: int, depth: int) -> tuple:
    """The paper's network on images (B, C, H, W): the last map before the final norm, and every attention."""
    patch = weights["patch_embed.weight"].shape[-1]
    x = F.conv2d(x, weights["patch_embed.weight"], weights["patch_embed.bias"], stride=patch)
    grid, seen = x.shape[2:], []
    x = x.flatten(2).transpose(1, 2) + sincos_position_code(x.shape[1], grid).to(x.dtype)
    for block in range(depth):
        name = f"blocks.{block}"
        matrix, values = attention_of(weights, name, x, heads)
        seen.append(matrix)
        mixed = torch.cat((matrix @ values).unbind(1), -1)
        x = x + mixed @ weights[f"{name}.attn.out_proj.weight"].T + weights[f"{name}.attn.out_proj.bias"]
        hidden = normalise(weights, f"{name}.norm2", x) @ weights[f"{name}.mlp.linear1.weight"].T
        hidden = F.gelu(hidden + weights[f"{name}.mlp.linear1.bias"])
        x = x + hidden @ weights[f"{name}.mlp.linear2.weight"].T + weights[f"{name}.mlp.linear2.bias"]
    return x.transpose(1, 2).unflatten(2, grid), seen


def test_values_gradients_and_attentions_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    encoder = ViTEncoder("toy", **TOY, in_channels=2).double()
    for parameter in encoder.parameters():  # large enough that every part matters
        nn.init.normal_(parameter, mean=0.1, std=0.4)
    x = torch.randn(2, 2, 16, 16, dtype=torch.float64, requires_grad=True)
    weights = {name: parameter for name, parameter in encoder.named_parameters() if not name.startswith("norm.")}
    results = []
    (ours,) = encoder.features(x)
    theirs, seen = reference(weights, x, TOY["num_heads"], TOY["depth"])
    for level in (ours, theirs):
        loss = (level * torch.linspace(-1, 1, level.numel(), dtype=torch.float64).view_as(level)).sum()
        results.append((level, torch.autograd.grad(loss, [x, *weights.values()])))
    torch.testing.assert_close(results[0], results[1])
    found = encoder.attentions(x)
    assert [matrix.shape for matrix in found] == [(2, 3, 16, 16)] * 3
    torch.testing.assert_close(found, [matrix.float() for matrix in seen], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_block_computes_what_monais_does() -> None:
    torch.manual_seed(0)
    theirs = TransformerBlock(12, 24, 3, qkv_bias=True)
    ours, x = ViTBlock(theirs), torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(x), theirs(x))
    assert set(ours.state_dict()) == {key for key in theirs.state_dict() if "cross" not in key}


@pytest.mark.parametrize(
    ("name", "embed_dim", "millions"),  # of timm's vit_*_patch16_224 without head, class token and position code
    [("vit_tiny", 192, 5.486), ("vit_small", 384, 21.590), ("vit_base", 768, 85.647)],
)
def test_the_published_sizes(name: str, embed_dim: int, millions: float) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name, in_channels=3)
    assert (encoder.strides, encoder.channels) == ((16,), (embed_dim,))
    assert sum(parameter.numel() for parameter in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.002)
    assert {module.eps for module in encoder.modules() if isinstance(module, nn.LayerNorm)} == {1e-6}
    assert len(encoder.state_dict()) == 2 + 12 * 12 + 2


def test_weights_of_mae_go_in_as_the_docstring_says() -> None:
    encoder = ViTEncoder("toy", **TOY)
    renamed = {"attn.proj": "attn.out_proj", "mlp.fc1": "mlp.linear1", "mlp.fc2": "mlp.linear2"}
    published = {}
    for key, value in encoder.state_dict().items():
        key = key.replace("patch_embed.", "patch_embed.proj.")
        for old, new in renamed.items():
            key = key.replace(new, old)
        published[key] = value
    state = {}
    for key, value in {**published, "cls_token": torch.zeros(1, 1, 12)}.items():
        key = key.replace("patch_embed.proj.", "patch_embed.")
        for old, new in renamed.items():
            key = key.replace(old, new)
        if key != "cls_token":
            state[key] = value
    assert "blocks.0.mlp.fc1.weight" in published
    assert ViTEncoder("toy", **TOY).load_state_dict(state).missing_keys == []


@torch.no_grad()
def test_initialisation_is_that_of_mae() -> None:
    torch.manual_seed(0)
    encoder = ViTEncoder("toy", embed_dim=48, depth=2, num_heads=4, patch_size=8)
    for name, parameter in encoder.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim == 1:
            assert torch.equal(parameter, torch.ones_like(parameter))
        else:
            rows, columns = parameter.flatten(1).shape
            bound = (6 / (rows + columns)) ** 0.5
            assert 0.9 * bound < parameter.abs().max() <= bound
