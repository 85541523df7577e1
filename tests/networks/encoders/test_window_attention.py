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
from monai.networks.nets.swin_unetr import WindowAttention, compute_mask

from monai_lamps.networks.encoders.window_attention import attend, attend_fused, position_bias


def attention(spatial_dims: int = 2) -> WindowAttention:
    torch.manual_seed(0)
    module = WindowAttention(8, 2, (4,) * spatial_dims, qkv_bias=True).double()
    torch.nn.init.normal_(module.relative_position_bias_table)
    return module


@pytest.mark.parametrize("compute", [attend, attend_fused])
@pytest.mark.parametrize("shifted", [False, True])
def test_attention_and_its_gradients_are_those_of_monais_module(compute, shifted: bool) -> None:
    module = attention()
    mask = compute_mask([8, 12], (4, 4), (2, 2), torch.device("cpu")).double() if shifted else None
    x = torch.randn(2 * 6, 16, 8, dtype=torch.double, requires_grad=True)  # 2 images of 6 windows
    weight = torch.randn(12, 16, 8, dtype=torch.double)
    inputs = [x, *module.parameters()]

    expected = module(x, mask)
    result = module.proj(compute(module.qkv(x), position_bias(module, 16), mask, 2))
    torch.testing.assert_close(result, expected)
    for got, wanted in zip(
        torch.autograd.grad((result * weight).sum(), inputs), torch.autograd.grad((expected * weight).sum(), inputs)
    ):
        torch.testing.assert_close(got, wanted)


@torch.no_grad()
def test_a_small_window_takes_the_leading_part_of_the_bias_as_in_monai() -> None:
    module = attention()
    x = torch.randn(3, 9, 8, dtype=torch.double)
    result = module.proj(attend(module.qkv(x), position_bias(module, 9), None, 2))
    torch.testing.assert_close(result, module(x, None))


def test_under_autocast_the_result_has_the_type_of_the_queries() -> None:
    module = attention().float()
    x = torch.randn(4, 16, 8)
    for compute in (attend, attend_fused):
        with torch.autocast("cpu", torch.bfloat16):
            qkv = module.qkv(x)
            result = compute(qkv, position_bias(module, 16), None, 2)
        assert result.dtype == qkv.dtype == torch.bfloat16
        exact = attend(module.qkv(x), position_bias(module, 16), None, 2)
        torch.testing.assert_close(result.float(), exact, rtol=0.05, atol=0.02)
