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

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from monai.losses import DeepSupervisionLoss, DiceCELoss
from torch import nn

from monai_lamps.networks import Encoder, build_encoder
from monai_lamps.networks.segmenters import PyramidPooling, UPerNet

Build = Callable[..., Encoder]


def without_gradient(net: nn.Module) -> list[str]:
    return [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def averaged(x: torch.Tensor, bins: int) -> torch.Tensor:
    """Means over a grid of bins; neighbouring bins share cells where they do not divide the map."""
    rows = [(i * x.shape[2] // bins, -(-(i + 1) * x.shape[2] // bins)) for i in range(bins)]
    columns = [(i * x.shape[3] // bins, -(-(i + 1) * x.shape[3] // bins)) for i in range(bins)]
    return torch.stack([torch.stack([x[:, :, a:b, c:d].mean((2, 3)) for c, d in columns], -1) for a, b in rows], -2)


def test_the_pyramid_pooling_agrees_with_a_plain_reference() -> None:
    torch.manual_seed(0)
    pooling = PyramidPooling(2, 6, 8, bins=(1, 2, 3, 6))
    for parameter in pooling.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 6, 7, 9)
    parts = [x]
    for bins, layer in zip((1, 2, 3, 6), pooling.projections):
        y = torch.einsum("bchw,dc->bdhw", averaged(x, bins), layer.conv.weight[:, :, 0, 0])
        norm = layer.adn.N
        y = F.group_norm(y, norm.num_groups, norm.weight, norm.bias).relu()
        parts.append(F.interpolate(y, (7, 9), mode="bilinear", align_corners=False))
    y = F.conv2d(torch.cat(parts, 1), pooling.fuse.conv.weight, padding=1)
    norm = pooling.fuse.adn.N
    torch.testing.assert_close(pooling(x), F.group_norm(y, norm.num_groups, norm.weight, norm.bias).relu())


def test_the_whole_network_is_its_parts_in_the_order_of_the_paper() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", base_channels=4, stride=16)
    net = UPerNet(encoder, 3, channels=8, bins=(1, 2)).eval()
    x = torch.randn(1, 1, 64, 32)
    with torch.no_grad():
        _, four, eight, sixteen = encoder.features(x)
        sixteen = F.layer_norm(sixteen.movedim(1, -1), (32,), encoder.norm.weight, encoder.norm.bias, 1e-6)
        maps = net.pyramid([four, eight, net.pooling(sixteen.movedim(-1, 1))])
        same = [F.interpolate(each, (16, 8), mode="bilinear") for each in maps]
        logits = net.classify(net.fuse(torch.cat(same, 1)))
        torch.testing.assert_close(net(x), F.interpolate(logits, (64, 32), mode="bilinear"))
    assert net.strides == (4, 8, 16)


def test_every_registered_encoder_gives_logits_of_the_size_of_the_image(any_encoder: Encoder) -> None:
    net = UPerNet(any_encoder, 3, channels=8).eval()
    cell = any_encoder.cell
    with torch.no_grad():
        assert net(torch.randn(2, 1, 2 * cell, 3 * cell)).shape == (2, 3, 2 * cell, 3 * cell)
    assert net.encoder is any_encoder


@pytest.mark.parametrize("name", ["swin_tiny", "resnet18", "convnext_tiny"])
def test_volumes_work_as_images_do(tiny_encoder: Build, name: str) -> None:
    encoder = tiny_encoder(name, spatial_dims=3)
    size = (encoder.cell, 2 * encoder.cell, encoder.cell)
    with torch.no_grad():
        assert UPerNet(encoder, 2, channels=8).eval()(torch.randn(1, 1, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", ["swin_tiny", "resnet18", "convnext_tiny"])
def test_the_gradient_reaches_every_parameter(tiny_encoder: Build, name: str, spatial_dims: int) -> None:
    torch.manual_seed(0)
    encoder = tiny_encoder(name, spatial_dims=spatial_dims)
    net = UPerNet(encoder, 3, channels=8, auxiliary_channels=8, dropout=0.0)
    size = (2 * encoder.cell,) * spatial_dims
    logits, auxiliary = net(torch.randn(2, 1, *size))
    (logits.square().mean() + auxiliary.square().mean()).backward()
    assert without_gradient(net) == []


@pytest.mark.parametrize(
    ("patch_size", "depths", "finest", "strides"),
    [
        (2, [1], 4, (4, 8, 16, 32)),
        (2, [1], 2, (2, 4, 8, 16, 32)),
        (4, [2], 4, (4, 8, 16, 32)),
        (16, [1], 4, (4, 8, 16, 32)),
        (32, [1], 4, (4, 8, 16, 32)),
        (14, [1], 4, (7, 14, 28)),
        (64, [1], 16, (16, 32, 64)),
        (2, [1, 1], 4, (4, 8, 16, 32)),
        (2, [1, 1, 1], 4, (4, 8)),
        (2, [1, 1, 1], 2, (2, 4, 8)),
        (8, [1, 1, 1], 4, (8, 16, 32)),
    ],
)
def test_levels_are_chosen_or_made(patch_size: int, depths: list, finest: int, strides: tuple) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("convnext_tiny", embed_dim=16, depths=depths, patch_size=patch_size, layer_scale=1.0)
    net = UPerNet(encoder, 2, channels=8, finest=finest)
    assert net.strides == strides
    x = torch.randn(2, 1, 2 * encoder.cell, 3 * encoder.cell)
    logits = net(x)
    assert logits.shape == (2, 2, *x.shape[2:])
    logits.square().mean().backward()
    assert without_gradient(net) == []


def test_the_auxiliary_logits_come_in_training_only_and_fit_monais_loss(tiny_encoder: Build) -> None:
    net = UPerNet(tiny_encoder("resnet18"), 2, channels=8, auxiliary_channels=8)
    x, label = torch.randn(2, 1, 64, 64), torch.randint(0, 2, (2, 2, 64, 64)).float()
    outputs = net(x)
    assert [tuple(output.shape) for output in outputs] == [(2, 2, 64, 64)] * 2
    one = DiceCELoss(sigmoid=True)
    loss = DeepSupervisionLoss(one, weights=[1.0, 0.4])(outputs, label)
    torch.testing.assert_close(loss, one(outputs[0], label) + 0.4 * one(outputs[1], label))
    assert net.eval()(x).shape == (2, 2, 64, 64)
    assert isinstance(UPerNet(tiny_encoder("resnet18"), 2, channels=8)(x), torch.Tensor)


def test_a_batch_of_one_trains_with_the_default_normalisation_and_not_with_batch_normalisation() -> None:
    encoder = build_encoder("convnext_tiny", embed_dim=8, depths=[1, 1])
    x = torch.randn(1, 1, 16, 16)
    assert torch.isfinite(UPerNet(encoder, 2, channels=8)(x)).all()
    net = UPerNet(encoder, 2, channels=8, norm="batch")
    with pytest.raises(ValueError, match="needs more than one image in training, got a batch of 1; use larger batches"):
        net(x)
    assert net.eval()(x).shape == (1, 2, 16, 16)
    assert net.train()(x.repeat(2, 1, 1, 1)).shape == (2, 2, 16, 16)
    UPerNet(encoder, 2, channels=8, norm=["batch", {"eps": 1e-3}], bins=(2, 3))(x)


def test_the_decoder_does_no_convolution_finer_than_asked_for(tiny_encoder: Build) -> None:
    net = UPerNet(tiny_encoder("resnet18"), 2, channels=8).eval()
    seen = []
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d) and not name.startswith("encoder."):
            layer.register_forward_hook(lambda _, __, output: seen.append(output.shape[-1]))
    net(torch.randn(1, 1, 64, 64))
    assert max(seen) == 64 // 4


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"out_channels": 0}, "out_channels must be an integer of at least 1, got 0"),
        ({"channels": 2}, "channels must be an integer of at least 4, got 2"),
        ({"channels": True}, "channels must be an integer of at least 4, got True"),
        ({"finest": 0}, "finest must be an integer of at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"auxiliary_channels": 0}, "auxiliary_channels must be an integer of at least 4, got 0"),
        ({"bins": ()}, r"bins must name at least one grid of at least one bin per axis, got \(\)"),
        ({"bins": (0, 2)}, r"bins must name at least one grid of at least one bin per axis, got \(0, 2\)"),
        ({"norm": "instance"}, "instance normalisation has nothing to normalise over in a grid of one bin"),
    ],
)
def test_what_has_no_valid_value_is_refused(tiny_encoder: Build, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UPerNet(tiny_encoder("swin_tiny"), **{"out_channels": 2, **kwargs})


def test_only_encoders_are_taken() -> None:
    with pytest.raises(TypeError, match="expected an Encoder, got Linear; build one with build_encoder"):
        UPerNet(nn.Linear(1, 1), 2)


def test_an_image_that_does_not_fit_the_encoder_is_refused_by_it(tiny_encoder: Build) -> None:
    with pytest.raises(ValueError, match="multiples of the encoder's stride 16"):
        UPerNet(tiny_encoder("swin_tiny"), 2)(torch.zeros(1, 1, 24, 32))
