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
from monai.networks.nets import FlexibleUNet
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE
from monai.networks.nets.resnet import ResNetEncoder as MonaiResNetEncoder

from monai_lamps.networks import FlexibleUNetEncoder, build_encoder, encoder_names, register_backbone

SWIN = {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4, "patch_size": 4, "drop_path": 0.0}
TOYS = {
    "toy_swin": ("swin_tiny", SWIN, (16, 8, 16)),
    "toy_swin_patch2": ("swin_tiny", SWIN | {"patch_size": 2}, (8, 16)),
    "toy_swin_patch8": ("swin_tiny", SWIN | {"patch_size": 8, "embed_dim": 64}, (16, 32, 64, 128)),
    "toy_convnext": ("convnext_tiny", {"embed_dim": 32, "depths": [1, 1], "drop_path": 0.0}, (16, 32, 64)),
    "toy_resnet8": ("resnet18", {"base_channels": 4, "stride": 8}, (8, 16, 32)),
    "toy_resnet32": ("resnet50", {"base_channels": 4}, (4, 16, 32, 64, 128)),
}


@pytest.fixture(autouse=True)
def registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers that are put back after the test."""
    monkeypatch.setattr(FLEXUNET_BACKBONE, "register_dict", dict(FLEXUNET_BACKBONE.register_dict))
    monkeypatch.setattr(FlexibleUNetEncoder, "_entries", dict(FlexibleUNetEncoder._entries))


def test_every_encoder_is_a_backbone_and_monais_own_names_are_left_alone() -> None:
    for name in encoder_names():
        backbone = f"lamps_{name}" if name.startswith("resnet") else name
        assert FLEXUNET_BACKBONE.register_dict[backbone]["type"] is FlexibleUNetEncoder
    assert FLEXUNET_BACKBONE.register_dict["resnet18"]["type"] is MonaiResNetEncoder
    assert FLEXUNET_BACKBONE.register_dict["swin_tiny"]["feature_channel"] == (48, 96, 192, 384, 768)
    assert FLEXUNET_BACKBONE.register_dict["lamps_resnet50"]["feature_channel"] == (64, 256, 512, 1024, 2048)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("backbone", TOYS)
def test_levels_start_at_one_half_and_halve(backbone: str, spatial_dims: int) -> None:
    name, kwargs, channels = TOYS[backbone]
    register_backbone(backbone, name, **kwargs)
    net = FlexibleUNet(1, 3, backbone, decoder_channels=(8, 8, 4, 4, 4), spatial_dims=spatial_dims).eval()
    size = (32, 64, 32)[:spatial_dims]
    with torch.no_grad():
        levels = net.encoder(torch.randn(1, 1, *size))
        assert net(torch.randn(1, 1, *size)).shape == (1, 3, *size)
    assert tuple(level.shape[1] for level in levels) == channels
    for index, level in enumerate(levels):
        assert tuple(level.shape[2:]) == tuple(side // 2 ** (index + 1) for side in size)


@pytest.mark.parametrize("backbone", ["toy_swin", "toy_resnet8"])
def test_a_unet_learns_and_every_parameter_of_the_encoder_gets_a_gradient(backbone: str) -> None:
    torch.manual_seed(0)
    name, kwargs, _ = TOYS[backbone]
    register_backbone(backbone, name, **kwargs)
    net = FlexibleUNet(in_channels=1, out_channels=2, backbone=backbone, decoder_channels=(8, 8, 8, 8, 8))
    x = torch.rand(2, 1, 32, 32)
    label = (x[:, 0] > 0.5).long()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), label)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert not [name for name, parameter in net.named_parameters() if parameter.grad is None]


def test_trained_weights_go_in_and_decide_the_features() -> None:
    register_backbone("toy_swin", "swin_tiny", **SWIN)
    trained = build_encoder("swin_tiny", **SWIN).eval()
    net = FlexibleUNet(1, 2, "toy_swin").eval()
    x = torch.randn(1, 1, 16, 16)
    net.encoder.load_encoder(trained)
    with torch.no_grad():
        levels, tokens = net.encoder(x), trained.embed(x)[0]
        torch.testing.assert_close(levels[-2], trained.features(x)[-2])
        torch.testing.assert_close(levels[-1].flatten(2).transpose(1, 2), tokens)
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(net.encoder.encoder.parameters(), trained.parameters()))


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("swin_tiny", SWIN | {"embed_dim": 16}, r"'embed_dim': \(16, 8\).*register_backbone"),
        ("swin_tiny", SWIN | {"in_channels": 3}, r"'in_channels': \(3, 1\).*Build the network"),
        ("resnet18", {"base_channels": 4, "stride": 16}, r"'name': \('resnet18', 'swin_tiny'\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_what_differs(name: str, kwargs: dict, message: str) -> None:
    net = FlexibleUNetEncoder("swin_tiny", encoder_kwargs=SWIN)
    with pytest.raises(ValueError, match=message):
        net.load_encoder(build_encoder(name, **kwargs))


def test_weights_of_the_same_shapes_for_another_stride_are_refused() -> None:
    net = FlexibleUNetEncoder("resnet18", encoder_kwargs={"base_channels": 4, "stride": 16})
    with pytest.raises(ValueError, match=r"'stride': \(8, 16\)"):
        net.load_encoder(build_encoder("resnet18", base_channels=4, stride=8))


def test_a_config_can_be_registered_as_it_is() -> None:
    encoder = build_encoder("resnet18", spatial_dims=2, in_channels=3, base_channels=4, stride=16)
    register_backbone("mine", **encoder.config)
    register_backbone("mine", **encoder.config)  # the same again is no conflict
    net = FlexibleUNet(in_channels=3, out_channels=1, backbone="mine")
    net.encoder.load_encoder(encoder)
    assert net.encoder.encoder.config == encoder.config


def test_pretrained_true_is_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"no pretrained weights come with 'swin_tiny'; .*load_encoder"):
        FlexibleUNet(1, 2, "swin_tiny", pretrained=True)


@pytest.mark.parametrize(
    ("backbone", "name", "kwargs", "message"),
    [
        ("resnet18", "resnet18", {}, "'resnet18' is taken by ResNetEncoder; .*'lamps_resnet18'"),
        ("swin_tiny", "swin_tiny", {"patch_size": 2}, "'swin_tiny' is taken by FlexibleUNetEncoder"),
        ("odd", "swin_tiny", {"patch_size": 3}, r"strides 2, 4, 8, .* got an encoder with strides \(3, 6, 12, 24\)"),
        ("full", "swin_tiny", SWIN | {"patch_size": 1, "depths": [1], "num_heads": [2]}, r"with strides \(1,\)"),
        ("deep", "swin_tiny", {"patch_size": 8}, r"at most five levels, .*\(8, 16, 32, 64\), which makes 6"),
    ],
)
def test_backbones_that_cannot_be_are_refused(backbone: str, name: str, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_backbone(backbone, name, **kwargs)
