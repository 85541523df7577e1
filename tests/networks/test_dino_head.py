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

import torch
import torch.nn.functional as F

from monai_lamps.networks import DINOHead


def toy() -> DINOHead:
    torch.manual_seed(0)
    return DINOHead(6, out_dim=10, hidden_dim=8, bottleneck_dim=4)


def test_logits_are_cosines_between_the_bottleneck_and_the_prototypes() -> None:
    head, x = toy(), torch.randn(3, 5, 6)
    direction = head.last_layer.parametrizations.weight.original1
    hidden = F.gelu(head.mlp[2](F.gelu(head.mlp[0](x))))
    bottleneck = F.normalize(head.mlp[4](hidden), dim=-1)
    torch.testing.assert_close(head.bottleneck(x), bottleneck)
    torch.testing.assert_close(head(x), bottleneck @ F.normalize(direction, dim=1).T)


def test_the_magnitude_is_one_and_frozen_while_the_rest_learns() -> None:
    head = toy()
    optimizer = torch.optim.SGD([p for p in head.parameters() if p.requires_grad], lr=1.0)
    head(torch.randn(2, 6)).square().sum().backward()
    optimizer.step()
    magnitude = head.last_layer.parametrizations.weight.original0
    assert torch.equal(magnitude, torch.ones(10, 1))
    assert [name for name, p in head.named_parameters() if p.grad is None] == [
        "last_layer.parametrizations.weight.original0"
    ]


def test_parameters_have_the_shapes_of_the_released_head() -> None:
    with torch.device("meta"):
        head = DINOHead(1024)
    shapes = {key: tuple(value.shape) for key, value in head.state_dict().items()}
    assert shapes["mlp.0.weight"] == (2048, 1024)
    assert shapes["mlp.2.weight"] == (2048, 2048)
    assert shapes["mlp.4.weight"] == (256, 2048)
    assert shapes["last_layer.parametrizations.weight.original0"] == (65536, 1)
    assert shapes["last_layer.parametrizations.weight.original1"] == (65536, 256)
    assert len(shapes) == 8
