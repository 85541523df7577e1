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

import json

import pytest
import torch

from monai_lamps.networks import Encoder, ResNetEncoder, SwinEncoder, build_encoder, encoder_levels, encoder_names
from monai_lamps.networks.encoders import encoder as module
from monai_lamps.networks.encoders import register_encoder

SWIN = {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4, "patch_size": 2, "drop_path": 0.0}
RESNET = {"base_channels": 4, "stride": 8}
CONVNEXT = {"embed_dim": 4, "depths": [1, 2], "patch_size": 2, "drop_path": 0.0}
VIT = {"embed_dim": 12, "depth": 2, "num_heads": 3, "patch_size": 4}
CASES = [
    ("swin_tiny", SWIN, 4),
    ("resnet18", RESNET, 8),
    ("resnet50", RESNET | {"stride": 16}, 16),
    ("convnext_tiny", CONVNEXT, 4),
    ("vit_tiny", VIT, 4),
]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict:
    """A registry that is put back after the test."""
    copy = dict(module._REGISTRY)
    monkeypatch.setattr(module, "_REGISTRY", copy)
    return copy


def test_all_encoders_of_the_issue_are_registered() -> None:
    sizes = {f"convnext_{size}" for size in ("tiny", "small", "base", "large")}
    sizes |= {f"vit_{size}" for size in ("tiny", "small", "base")}
    assert sizes | {"resnet18", "resnet50", "swin_base", "swin_small", "swin_tiny"} <= set(encoder_names())
    assert encoder_names() == sorted(encoder_names())


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("name", "kwargs", "cell"), CASES)
def test_every_encoder_keeps_the_contract(name: str, kwargs: dict, cell: int, spatial_dims: int) -> None:
    encoder = build_encoder(name, spatial_dims=spatial_dims, in_channels=2, **kwargs).eval()
    size = (2 * cell, 3 * cell, 2 * cell)[:spatial_dims]
    x = torch.randn(2, 2, *size)
    with torch.no_grad():
        features, (tokens, mean) = encoder.features(x), encoder.embed(x)
    assert encoder.cell == cell
    assert encoder.embed_dim == encoder.channels[-1]
    assert (encoder.strides, encoder.channels) == encoder_levels(name, **kwargs)
    for level, stride, channels in zip(features, encoder.strides, encoder.channels):
        assert level.shape == (2, channels, *(side // stride for side in size))
    assert tokens.shape == (2, 6 if spatial_dims == 2 else 12, encoder.embed_dim)
    torch.testing.assert_close(mean, tokens.mean(1))
    torch.testing.assert_close(encoder(x), mean)


@pytest.mark.parametrize(("name", "kwargs", "cell"), CASES)
def test_tokens_are_row_major_and_end_in_a_layer_norm(name: str, kwargs: dict, cell: int) -> None:
    encoder = build_encoder(name, **kwargs).eval()
    with torch.no_grad():
        encoder.norm.weight.mul_(2)
        encoder.norm.bias.add_(0.5)
        x = torch.randn(1, 1, 2 * cell, 3 * cell)
        coarse, tokens = encoder.features(x)[-1], encoder.embed(x)[0]
    assert encoder.norm.eps == 1e-6
    for row in range(2):
        for column in range(3):
            value = coarse[0, :, row, column]
            expected = 2 * (value - value.mean()) / (value.var(unbiased=False) + 1e-6).sqrt() + 0.5
            torch.testing.assert_close(tokens[0, 3 * row + column], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "kwargs", "cell"), CASES)
def test_the_config_is_json_and_rebuilds_the_same_encoder(name: str, kwargs: dict, cell: int) -> None:
    encoder = build_encoder(name, spatial_dims=2, in_channels=3, **kwargs)
    config = json.loads(json.dumps(encoder.config))
    assert config == encoder.config
    twin = build_encoder(**config)
    assert twin.config == config
    twin.load_state_dict(encoder.state_dict())
    x = torch.randn(2, 3, cell, 2 * cell)
    torch.testing.assert_close(twin.eval()(x), encoder.eval()(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 16, 16), r"batch of images \(B, C, H, W\), got shape \(1, 16, 16\)"),
        ((1, 1, 16, 16, 16), r"build the encoder with other spatial_dims"),
        ((1, 3, 16, 16), r"expected 1 image channels, got 3 .*in_channels=3"),
        ((1, 1, 16, 17), r"multiples of the encoder's stride 8, got \(16, 17\); resize or pad.*\(16, 24\)"),
        ((1, 1, 4, 0), r"got \(4, 0\).*\(8, 8\)"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_the_mend(shape: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_encoder("resnet18", **RESNET).embed(torch.zeros(shape))


def test_unknown_names_and_arguments_are_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown encoder 'swin_tinny'.*resnet18.*Did you mean 'swin_tiny'"):
        build_encoder("swin_tinny")
    with pytest.raises(TypeError, match=r"'resnet18' has no argument 'strides'.*Did you mean 'stride'"):
        build_encoder("resnet18", strides=16)


@pytest.mark.parametrize(("kwargs", "message"), [({"spatial_dims": 1}, "2 or 3, got 1"), ({"in_channels": 0}, "got 0")])
def test_wrong_dimensions_and_channels_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_encoder("swin_tiny", **{**SWIN, **kwargs})


def test_a_registered_variant_is_built_with_its_defaults_and_overrides(registry: dict) -> None:
    register_encoder("toy", SwinEncoder, **SWIN)
    register_encoder("toy", SwinEncoder, **SWIN)  # the same again is no conflict
    assert "toy" in encoder_names()
    assert build_encoder("toy").channels == (8, 16)
    encoder = build_encoder("toy", embed_dim=4)
    assert isinstance(encoder, Encoder)
    assert encoder.channels == (4, 8)
    assert encoder_levels("toy", embed_dim=4) == ((2, 4), (4, 8))


def test_a_name_is_not_given_twice_and_only_to_encoders(registry: dict) -> None:
    with pytest.raises(ValueError, match="'swin_tiny' is taken by SwinEncoder"):
        register_encoder("swin_tiny", ResNetEncoder)
    with pytest.raises(TypeError, match=r"subclass of Encoder, got .*Linear.* for 'linear'"):
        register_encoder("linear", torch.nn.Linear)  # type: ignore[arg-type]
