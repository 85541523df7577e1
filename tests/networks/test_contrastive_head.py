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

from monai_lamps.networks import ContrastiveHead


def test_parameters_have_the_names_and_shapes_of_the_released_head() -> None:
    assert {key: tuple(value.shape) for key, value in ContrastiveHead(2048).state_dict().items()} == {
        "0.weight": (2048, 2048),
        "0.bias": (2048,),
        "2.weight": (128, 2048),
        "2.bias": (128,),
    }


def test_an_image_is_projected_the_same_whatever_batch_it_is_in() -> None:
    head, x = ContrastiveHead(5, hidden=7, out=3), torch.randn(4, 5)
    expected = F.relu(x @ head[0].weight.T + head[0].bias) @ head[2].weight.T + head[2].bias
    torch.testing.assert_close(head(x), expected)
    torch.testing.assert_close(head(x[:1]), expected[:1])


def test_every_parameter_gets_a_gradient() -> None:
    head = ContrastiveHead(5, hidden=7, out=3)
    head(torch.randn(4, 5)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in head.parameters())
