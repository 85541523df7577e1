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
from monai.networks.nets.resnet import ResNet
from torch import nn

from monai_lamps.networks import ResNetEncoder, build_encoder


def reference(name: str, x: torch.Tensor, encoder: ResNetEncoder, stem_stride: int, no_max_pool: bool) -> torch.Tensor:
    block, layers = {"resnet18": ("basic", [2, 2, 2, 2]), "resnet50": ("bottleneck", [3, 4, 6, 3])}[name]
    net = ResNet(
        block,
        layers,
        [4, 8, 16, 32],
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_stride=stem_stride,
        no_max_pool=no_max_pool,
        feed_forward=False,
        bias_downsample=False,
    ).eval()
    net.load_state_dict(encoder.resnet.state_dict())
    net.avgpool = nn.Flatten()
    net.to(memory_format=torch.channels_last)  # as the encoder, so that not a bit differs
    return net(x).reshape(len(x), encoder.embed_dim, -1)


@pytest.mark.parametrize(("stride", "stem_stride", "no_max_pool"), [(32, 2, False), (16, 2, True), (8, 1, True)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@torch.no_grad()
def test_the_coarsest_features_are_those_of_monais_resnet(
    name: str, stride: int, stem_stride: int, no_max_pool: bool
) -> None:
    encoder = ResNetEncoder(name, stride=stride, base_channels=4).eval()
    x = torch.randn(2, 1, 64, 96)
    features = encoder.features(x)
    assert torch.equal(features[-1].flatten(2), reference(name, x, encoder, stem_stride, no_max_pool))
    assert encoder.strides == {32: (2, 4, 8, 16, 32), 16: (2, 4, 8, 16), 8: (1, 2, 4, 8)}[stride]
    assert [level.shape[2:] for level in features] == [(64 // s, 96 // s) for s in encoder.strides]
    assert tuple(level.shape[1] for level in features) == encoder.channels


def test_the_keys_are_torchvisions_without_the_classifier() -> None:
    keys = set(ResNetEncoder("resnet50", in_channels=3).resnet.state_dict())
    assert len(keys) == 318  # 320 with fc.weight and fc.bias
    assert {"conv1.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.running_var"} <= keys


@pytest.mark.parametrize("norm", ["batch", "instance", ["group", {"num_groups": 2}]])
def test_the_chosen_normalisation_is_used_in_every_block(norm: str | list) -> None:
    encoder = ResNetEncoder(base_channels=4, stride=8, norm=norm)
    kind = {"b": nn.BatchNorm2d, "i": nn.InstanceNorm2d, "g": nn.GroupNorm}[norm[0][0]]
    norms = [m for m in encoder.resnet.modules() if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm))]
    assert len(norms) == 20
    assert all(isinstance(module, kind) for module in norms)
    assert ResNetEncoder(**encoder.config).config == encoder.config
    encoder(torch.randn(2, 1, 16, 16)).sum().backward()
    assert not [name for name, parameter in encoder.named_parameters() if parameter.grad is None]


def test_a_single_cell_is_refused_only_where_nothing_is_left_to_normalise_over() -> None:
    cell = torch.randn(1, 1, 8, 8)
    encoder = ResNetEncoder(base_channels=4, stride=8)
    with pytest.raises(
        ValueError, match=r"batch normalisation in training .*\(1, 1, 8, 8\) leave one cell of 8 px;.*la"
    ):
        encoder(cell)
    with pytest.raises(ValueError, match="instance normalisation in training needs at least two values"):
        ResNetEncoder(base_channels=4, stride=8, norm="instance")(torch.cat([cell, cell]))
    assert encoder(torch.cat([cell, cell])).shape == (2, 32)
    assert encoder.eval()(cell).shape == (1, 32)
    assert ResNetEncoder(base_channels=4, stride=8, norm=("group", {"num_groups": 2}))(cell).shape == (1, 32)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "resnet34"}, r"unknown residual network 'resnet34', expected one of \['resnet18', 'resnet50'\]"),
        ({"stride": 4}, r"stride must be one of \(32, 16, 8\), got 4"),
        ({"base_channels": 0}, "base_channels must be a positive integer, got 0"),
    ],
)
def test_arguments_without_a_valid_value_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResNetEncoder(**kwargs)


@torch.no_grad()
def test_the_constant_channel_is_seen_with_zeros_around_it() -> None:
    encoder = ResNetEncoder(base_channels=4, constant_channel=True).eval()
    seen = []
    encoder.resnet.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(2, 1, 32, 64)
    encoder(x)
    assert encoder.in_channels == 1
    assert torch.equal(seen[0], torch.cat([x, torch.ones(2, 1, 32, 64)], dim=1))
    assert build_encoder(**encoder.config).config == encoder.config
