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

import logging

import pytest
import torch
from monai.networks.utils import convert_to_torchscript
from torch import nn

from monai_lamps.checkpoints import load_swin_unetr
from monai_lamps.engines import parameter_levels
from monai_lamps.networks import build_encoder
from monai_lamps.networks.segmenters import EncoderSwinUNETR, build_segmenter, build_swin_unetr

TINY = {"embed_dim": 12, "depths": [1, 2, 1, 1], "num_heads": [1, 2, 2, 2], "window_size": 2, "patch_size": 2}


@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (64, 96)), (3, (32, 32, 64))])
def test_the_network_has_the_sizes_of_the_encoder(spatial_dims: int, size: tuple[int, ...]) -> None:
    encoder = build_encoder("swin_tiny", spatial_dims=spatial_dims, **TINY)
    net = build_swin_unetr(encoder, 3, norm_name="batch").eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, *size)).shape == (1, 3, *size)
    shapes = {key: tensor.shape for key, tensor in net.swinViT.state_dict().items()}
    assert all(shapes[key] == tensor.shape for key, tensor in encoder.swin.state_dict().items())


def test_further_arguments_go_to_monais_network() -> None:
    net = build_swin_unetr(build_encoder("swin_tiny", **TINY), 3, use_v2=True, normalize=False)
    assert net.swinViT.use_v2
    assert not net.normalize


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({"embed_dim": 16, "num_heads": [2, 2, 2, 2]}, "embed_dim 16"),
        ({"depths": [1, 1], "num_heads": [2, 2]}, r"depths \[1, 1\]"),
        ({"patch_size": 5}, "patch_size 5"),
    ],
)
def test_an_encoder_that_monais_network_cannot_follow_is_refused(own: dict, found: str) -> None:
    with pytest.raises(ValueError, match=f"multiple of 12, four stages and patches of .* got .*{found}.* use UPerNet"):
        build_swin_unetr(build_encoder("swin_tiny", **{**TINY, **own}), 2)


def test_other_encoders_are_refused() -> None:
    with pytest.raises(TypeError, match="takes the weights of a SwinEncoder, got ResNetEncoder; use UPerNet"):
        build_swin_unetr(build_encoder("resnet18", base_channels=4), 2)


@pytest.mark.parametrize(("spatial_dims", "patch_size"), [(2, 2), (2, 4), (2, 6), (3, 2), (3, 4)])
def test_around_an_encoder_it_computes_what_monais_network_does_with_the_weights(
    spatial_dims: int, patch_size: int
) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("swin_tiny", spatial_dims=spatial_dims, **{**TINY, "patch_size": patch_size}).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    net = build_segmenter("swin_unetr", encoder, 2).eval()
    assert isinstance(net, EncoderSwinUNETR)
    assert net.encoder is encoder
    reference = build_swin_unetr(encoder, 2).eval()
    load_swin_unetr(reference, encoder)
    reference.swinViT.layers4[0].downsample.load_state_dict(net.swinViT.merging.state_dict())
    for name, part in net.named_children():
        if name != "swinViT":
            getattr(reference, name).load_state_dict(part.state_dict())
    x = torch.randn(2, 1, 64, *(32,) * (spatial_dims - 1))
    with torch.no_grad():
        torch.testing.assert_close(net(x), reference(x), rtol=1e-4, atol=1e-4)


def test_the_encoder_keeps_its_levels_and_all_that_is_trained_gets_a_gradient() -> None:
    encoder = build_encoder("swin_tiny", **TINY)
    net = build_segmenter("swin_unetr", encoder, 1, norm_name="batch", normalize=False)
    assert set(parameter_levels(encoder).values()) == {0, 1, 2, 3}
    net(torch.randn(2, 1, 32, 64)).sum().backward()
    without = [name for name, value in net.named_parameters() if value.grad is None]
    assert without == ["swinViT.encoder.norm.weight", "swinViT.encoder.norm.bias"]
    assert not any(net.get_parameter(name).requires_grad for name in without)


def test_the_log_tells_what_stays_random(caplog: pytest.LogCaptureFixture) -> None:
    encoder = build_encoder("swin_tiny", **TINY)
    with caplog.at_level(logging.INFO):
        net = build_segmenter("swin_unetr", encoder, 1)
    own, whole = (sum(value.numel() for value in part.parameters()) for part in (encoder, net))
    assert f"SwinUNETR around swin_tiny: {own:,} of {whole:,} parameters are the encoder's" in caplog.text
    merging = sum(value.numel() for value in net.swinViT.merging.parameters())
    assert f"random in a new network: merging after the fourth stage ({merging:,}), encoder1 (" in caplog.text
    counted = [
        int(text.rsplit("(", 1)[1].replace(",", "")) for text in net.report().split("network: ")[1].split(")")[:-1]
    ]
    assert sum(counted) == whole - own


def test_its_torchscript_file_agrees_with_the_eager_network() -> None:
    torch.manual_seed(0)
    net = build_segmenter("swin_unetr", build_encoder("swin_tiny", **{**TINY, "patch_size": 4}), 2).eval()
    x = torch.randn(1, 1, 64, 64)
    traced = convert_to_torchscript(net, inputs=[x], use_trace=True)
    with torch.no_grad():
        torch.testing.assert_close(traced(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "own", "error", "message"),
    [
        ("resnet18", {"base_channels": 4}, TypeError, "takes the weights of a SwinEncoder, got ResNetEncoder"),
        (
            "swin_tiny",
            {**TINY, "embed_dim": 16, "num_heads": [2, 2, 2, 2]},
            ValueError,
            "multiple of 12.* embed_dim 16",
        ),
    ],
)
def test_encoders_that_it_cannot_be_built_around_are_refused(
    name: str, own: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_segmenter("swin_unetr", build_encoder(name, **own), 2)
