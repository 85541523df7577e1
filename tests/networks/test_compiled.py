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
from torch import nn

from monai_lamps.networks import ContextDecoder, build_encoder
from monai_lamps.networks.compiled import compile_networks

SETTINGS = {
    "swin_tiny": {"embed_dim": 8, "depths": (2, 2), "num_heads": (2, 2), "window_size": 4, "patch_size": 4},
    "resnet18": {"stride": 8, "norm": ("group", {"num_groups": 8})},
    "convnext_tiny": {"embed_dim": 8, "depths": (1, 1), "patch_size": 4},
}


class Pair(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = build_encoder(name, **SETTINGS[name])
        self.decoder = ContextDecoder(self.encoder.embed_dim, 32 // self.encoder.cell, depth=1, num_heads=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder.embed(x)[0])


@pytest.mark.parametrize("name", list(SETTINGS))
def test_compiled_networks_give_the_same_output_gradients_and_state(name: str) -> None:
    x = torch.randn(2, 1, 32, 32)
    # aot_eager captures forward and backward as inductor gets them, without its minutes of code generation
    usual, compiled = Pair(name).eval(), compile_networks(Pair(name).eval(), backend="aot_eager")
    results = []
    for pair in (usual, compiled):
        out = pair(x)
        out.square().sum().backward()
        with torch.no_grad():
            results.append([out.detach(), pair(x), *(parameter.grad for parameter in pair.parameters())])
    for expected, got in zip(*results):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert list(compiled.state_dict()) == list(usual.state_dict())


def test_what_is_not_enabled_is_left_alone() -> None:
    pair = Pair("swin_tiny")
    before = pair.encoder._stage_outputs
    assert compile_networks(pair, enabled=False) is pair
    assert pair.encoder._stage_outputs == before
    compile_networks(pair)
    assert pair.encoder._stage_outputs != before
