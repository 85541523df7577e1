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
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from monai_lamps.networks import ContextDecoder, fill_context


def toy(**kwargs) -> ContextDecoder:
    torch.manual_seed(0)
    return ContextDecoder(**{"dim": 24, "grid": 3, "depth": 2, "num_heads": 4, **kwargs})


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 12), st.data())
def test_visible_tokens_go_to_their_cells_and_the_mask_token_everywhere_else(batch: int, cells: int, data) -> None:
    count = data.draw(st.integers(1, cells))
    order = torch.tensor([data.draw(st.permutations(range(cells))) for _ in range(batch)])
    visible = torch.zeros(batch, cells, dtype=torch.bool).scatter(1, order[:, :count], True)
    tokens, mask_token = torch.randn(batch, count, 4), torch.randn(1, 1, 4)
    filled = fill_context(tokens, visible, mask_token)
    for sample in range(batch):
        expected = iter(tokens[sample])
        for cell in range(cells):
            assert torch.equal(filled[sample, cell], next(expected) if visible[sample, cell] else mask_token[0, 0])


def test_gradients_flow_to_the_tokens_and_to_the_mask_token() -> None:
    tokens = torch.randn(2, 1, 4, requires_grad=True)
    mask_token = torch.zeros(1, 1, 4, requires_grad=True)
    visible = torch.tensor([[True, False, False], [False, False, True]])
    weights = torch.randn(2, 3, 4)
    (fill_context(tokens, visible, mask_token) * weights).sum().backward()
    torch.testing.assert_close(tokens.grad, weights[visible][:, None])
    torch.testing.assert_close(mask_token.grad, weights[~visible].sum(0)[None, None])


def test_filling_keeps_the_type_of_the_tokens() -> None:
    visible = torch.tensor([[True, False]])
    assert fill_context(torch.ones(1, 1, 4).bfloat16(), visible, torch.zeros(1, 1, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("tokens", "visible", "mask", "error", "message"),
    [
        ((2, 1, 4), torch.ones(2, 3), (1, 1, 4), TypeError, "bool tensor, got torch.float32; .*visible > 0"),
        ((2, 4), torch.ones(2, 3, dtype=torch.bool), (1, 1, 4), ValueError, r"got \(2, 4\) and \(2, 3\)"),
        ((1, 3, 4), torch.ones(2, 3, dtype=torch.bool), (1, 1, 4), ValueError, r"of one batch, got \(1, 3, 4\)"),
        ((2, 3, 4), torch.ones(2, 3, dtype=torch.bool), (1, 4), ValueError, r"mask token of shape \(1, 1, 4\), got"),
        ((2, 2, 4), torch.ones(2, 3, dtype=torch.bool), (1, 1, 4), ValueError, r"2 visible cells .*got \[3, 3\]"),
        ((2, 4, 4), torch.ones(2, 3, dtype=torch.bool), (1, 1, 4), ValueError, r"4 visible cells .*got \[3, 3\]"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(tokens, visible, mask, error, message: str) -> None:
    with pytest.raises(error, match=message):
        fill_context(torch.zeros(tokens), visible, torch.zeros(mask))


@torch.no_grad()
def test_the_decoder_is_a_pre_norm_vision_transformer_written_out() -> None:
    decoder = toy().eval()
    for parameter in decoder.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    tokens = torch.randn(2, 9, 24)

    def norm(x: torch.Tensor, layer: nn.LayerNorm) -> torch.Tensor:
        deviation = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return (x - x.mean(-1, keepdim=True)) / deviation * layer.weight + layer.bias

    x = torch.cat([decoder.cls_token.expand(2, -1, -1), tokens], 1) + decoder.position_code
    for block in decoder.blocks:
        qkv = block.attn.qkv(norm(x, block.norm1))  # q, k, v one after the other, heads inside
        q, k, v = (part.unflatten(-1, (4, 6)).transpose(1, 2) for part in qkv.chunk(3, -1))
        heads = (q @ k.transpose(-1, -2) / 6**0.5).softmax(-1) @ v
        x = x + block.attn.out_proj(heads.transpose(1, 2).flatten(2))
        x = x + block.mlp.linear2(F.gelu(block.mlp.linear1(norm(x, block.norm2))))
    torch.testing.assert_close(decoder(tokens), norm(x, decoder.norm)[:, 1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("grid", "spatial_dims", "cells"), [((2, 4), 2, 8), (2, 3, 8)])
def test_the_grid_may_be_oblong_or_three_dimensional(grid, spatial_dims: int, cells: int) -> None:
    decoder = toy(grid=grid, spatial_dims=spatial_dims)
    assert decoder(torch.randn(1, cells, 24)).shape == (1, cells, 24)


def test_every_parameter_gets_a_gradient_and_the_position_code_is_not_saved() -> None:
    decoder = toy()
    visible = torch.arange(9)[None] < 4
    decoder(fill_context(torch.randn(1, 4, 24), visible, decoder.mask_token)).square().sum().backward()
    assert not [name for name, parameter in decoder.named_parameters() if parameter.grad is None]
    assert "position_code" not in decoder.state_dict()


def test_the_parameters_of_the_published_decoder_are_104_million() -> None:
    with torch.device("meta"):
        decoder = ContextDecoder(1024, 14, depth=1)
    block = sum(p.numel() for p in decoder.blocks[0].parameters())
    rest = sum(p.numel() for p in decoder.parameters()) - block
    dead = (3 * 32 * 32 + 1) * 1024  # the released module also carries a patch embedding that is never used
    assert (8 * block + rest + decoder.position_code.numel() + dead) / 1e6 == pytest.approx(104.1, abs=0.1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide dim, got 5 and 24"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"dim": 4, "num_heads": 2, "spatial_dims": 3}, "at least 6 for a grid of 3 axes, got 4"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy(**kwargs)


def test_tokens_of_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected tokens \(B, 9, 24\) for the grid \(3, 3\), got \(2, 16, 24\)"):
        toy()(torch.zeros(2, 16, 24))
