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
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from monai.networks.layers.drop_path import DropPath
from monai.networks.nets import FlexibleUNet
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE
from torch import nn

from monai_lamps.networks import EMATeacher, FlexibleUNetEncoder, build_encoder, encoder_levels, register_backbone
from monai_lamps.networks.encoders import ConvNeXtEncoder

TOY = {"embed_dim": 4, "depths": (2, 1, 2), "patch_size": 2, "drop_path": 0.0, "layer_scale": 0.5}


def toy(**kwargs) -> ConvNeXtEncoder:
    torch.manual_seed(0)
    encoder = ConvNeXtEncoder("toy", **{**TOY, **kwargs})
    for parameter in encoder.parameters():  # large enough that every part matters
        nn.init.normal_(parameter, mean=0.1, std=0.5)
    return encoder


def reference(weights: Mapping[str, torch.Tensor], depths: tuple[int, ...], x: torch.Tensor) -> list[torch.Tensor]:
    """The paper's network on maps (B, C, H, W), written down from its figures 3 and 4."""

    def convolve(x: torch.Tensor, name: str, **kwargs: int) -> torch.Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **kwargs)

    def normalise(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return scaled * weights[f"{name}.weight"].view(-1, 1, 1) + weights[f"{name}.bias"].view(-1, 1, 1)

    def project(x: torch.Tensor, name: str) -> torch.Tensor:
        bias = weights[f"{name}.bias"].view(-1, 1, 1)
        return torch.einsum("oc,bchw->bohw", weights[f"{name}.weight"], x) + bias

    levels = []
    for stage, depth in enumerate(depths):
        name = f"downsample_layers.{stage}"
        if stage == 0:
            patch = weights[f"{name}.0.weight"].shape[-1]
            x = normalise(convolve(x, f"{name}.0", stride=patch), f"{name}.1")
        else:
            x = convolve(normalise(x, f"{name}.0"), f"{name}.1", stride=2)
        for block in range(depth):
            name = f"stages.{stage}.{block}"
            y = convolve(x, f"{name}.dwconv", padding=3, groups=x.shape[1])
            y = project(F.gelu(project(normalise(y, f"{name}.norm"), f"{name}.pwconv1")), f"{name}.pwconv2")
            x = x + weights[f"{name}.gamma"].view(-1, 1, 1) * y
        levels.append(x)
    return levels


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_paper(memory_format: torch.memory_format) -> None:
    encoder = toy(in_channels=2).double().to(memory_format=memory_format)
    x = torch.randn(2, 2, 16, 24, dtype=torch.float64, requires_grad=True)
    weights = {name: parameter for name, parameter in encoder.named_parameters() if not name.startswith("norm.")}
    results = []
    for levels in (encoder.features(x), reference(weights, TOY["depths"], x)):
        loss = sum((level * torch.linspace(-1, 1, level.numel()).view_as(level)).sum() for level in levels)
        results.append((levels, torch.autograd.grad(loss, [x, *weights.values()])))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize(
    ("name", "embed_dim", "millions"),  # of the paper's table 1, less the classifier of 1000 classes
    [
        ("convnext_tiny", 768, 28.589 - 0.769),
        ("convnext_small", 768, 50.223 - 0.769),
        ("convnext_base", 1024, 88.591 - 1.025),
        ("convnext_large", 1536, 197.767 - 1.537),
    ],
)
def test_the_published_sizes(name: str, embed_dim: int, millions: float) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name, in_channels=3)
    assert encoder.strides == (4, 8, 16, 32)
    assert encoder.embed_dim == embed_dim
    assert sum(parameter.numel() for parameter in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.002)
    assert {module.eps for module in encoder.modules() if isinstance(module, nn.LayerNorm)} == {1e-6}


def test_the_keys_and_shapes_are_those_of_the_published_weights() -> None:
    with torch.device("meta"):
        state = build_encoder("convnext_tiny", in_channels=3).state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert len(shapes) == 4 + 3 * 4 + 18 * 9 + 2  # stem, three reductions, 18 blocks, final norm
    expected = {
        "downsample_layers.0.0.weight": (96, 3, 4, 4),
        "downsample_layers.0.1.bias": (96,),
        "downsample_layers.3.0.weight": (384,),
        "downsample_layers.3.1.weight": (768, 384, 2, 2),
        "stages.2.8.gamma": (384,),
        "stages.2.8.dwconv.weight": (384, 1, 7, 7),
        "stages.2.8.norm.weight": (384,),
        "stages.2.8.pwconv1.weight": (1536, 384),
        "stages.2.8.pwconv2.bias": (384,),
        "norm.weight": (768,),
    }
    assert {key: shapes.get(key) for key in expected} == expected


@torch.no_grad()
def test_published_weights_go_in_as_the_docstring_says() -> None:
    colour = toy(in_channels=3)
    published = {**colour.state_dict(), "head.weight": torch.zeros(10, 16), "head.bias": torch.zeros(10)}
    state = {key: value for key, value in published.items() if not key.startswith("head.")}
    state["downsample_layers.0.0.weight"] = state["downsample_layers.0.0.weight"].sum(1, keepdim=True)
    grey = toy()
    grey.load_state_dict(state)
    x = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_initialisation_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    encoder = ConvNeXtEncoder("toy", embed_dim=32, depths=(1, 1))
    for name, parameter in encoder.named_parameters():
        if name.endswith("gamma"):
            assert torch.equal(parameter, torch.full_like(parameter, 1e-6))
        elif name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim == 1:
            assert torch.equal(parameter, torch.ones_like(parameter))
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)
    x = torch.randn(1, 1, 16, 16)
    stem = encoder.downsample_layers[0](x)
    torch.testing.assert_close(encoder.features(x)[0], stem, rtol=0, atol=1e-4)  # branches start near zero


@pytest.mark.parametrize(("patch_size", "depths", "cell"), [(1, (1, 1, 1, 1), 8), (2, (1, 1, 1, 1), 16), (4, (1,), 4)])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_patch_and_stages_choose_the_cell(patch_size: int, depths: tuple, cell: int, spatial_dims: int) -> None:
    kwargs = {"embed_dim": 4, "depths": depths, "patch_size": patch_size}
    encoder = build_encoder("convnext_base", spatial_dims=spatial_dims, in_channels=2, **kwargs)
    assert encoder.cell == cell
    assert (encoder.strides, encoder.channels) == encoder_levels("convnext_base", **kwargs)
    size = (cell, 2 * cell, cell)[:spatial_dims]
    features = encoder.features(torch.randn(2, 2, *size))
    for level, stride, channels in zip(features, encoder.strides, encoder.channels, strict=True):
        assert level.shape == (2, channels, *(side // stride for side in size))
        assert level.movedim(1, -1).is_contiguous()
    assert encoder.embed(torch.randn(2, 2, *size))[0].shape == (2, 2, encoder.embed_dim)


def test_the_config_is_json_and_rebuilds_the_same_encoder() -> None:
    encoder = toy(spatial_dims=3, in_channels=2, drop_path=0.3, recompute="all")
    config = json.loads(json.dumps(encoder.config))
    twin = ConvNeXtEncoder(**config)
    assert twin.config == encoder.config == config
    twin.load_state_dict(encoder.state_dict())
    x = torch.randn(1, 2, 8, 8, 16)
    assert torch.equal(twin.eval()(x), encoder.eval()(x))


@torch.no_grad()
def test_tokens_are_the_coarsest_cells_in_rows_after_the_final_norm() -> None:
    encoder = toy()
    x = torch.randn(1, 1, 16, 24)
    tokens, mean = encoder.embed(x)
    expected = encoder.norm(encoder.features(x)[-1][0, :, 1, 2])
    assert tokens.shape == (1, 6, 16)
    torch.testing.assert_close(tokens[0, 5], expected)
    torch.testing.assert_close(mean, tokens.mean(1))


@torch.no_grad()
def test_stochastic_depth_rises_to_the_last_block_and_acts_only_in_training() -> None:
    encoder = toy(drop_path=0.4)
    rates = [module.drop_prob for module in encoder.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    x = torch.randn(1, 1, 16, 16).expand(16, -1, -1, -1)
    plain = toy()(x)
    assert torch.equal(encoder.eval()(x), plain)
    assert len(encoder.train()(x).unique(dim=0)) > 1  # each image of the batch loses other branches
    assert torch.equal(EMATeacher(encoder).train()(x), plain)


@torch.no_grad()
def test_a_dropped_branch_leaves_the_image_as_it_was_and_a_kept_one_is_scaled_up() -> None:
    block = toy(depths=(2,), drop_path=0.75).stages[0][1]
    x = torch.randn(64, 4, 4, 4)
    change = block.train()(x) - x
    branch = block.eval()(x) - x
    dropped = change.flatten(1).abs().amax(1) == 0
    assert 0 < dropped.sum() < 64
    torch.testing.assert_close(change[~dropped], 4 * branch[~dropped], rtol=1e-4, atol=1e-4)


def test_bf16_autocast_stays_close_to_fp32() -> None:
    encoder = ConvNeXtEncoder("toy", **TOY)
    x = torch.randn(2, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(x)
    half.float().square().sum().backward()
    assert not [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    torch.testing.assert_close(half.float(), encoder(x), rtol=0.05, atol=0.05)


def test_a_unet_on_it_takes_trained_weights_and_trains_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FLEXUNET_BACKBONE, "register_dict", dict(FLEXUNET_BACKBONE.register_dict))
    monkeypatch.setattr(FlexibleUNetEncoder, "_entries", dict(FlexibleUNetEncoder._entries))
    assert FLEXUNET_BACKBONE.register_dict["convnext_tiny"]["feature_channel"] == (48, 96, 192, 384, 768)
    trained = toy(embed_dim=16)
    register_backbone("toy_convnext", **{**trained.config, "name": "convnext_tiny"})
    unet = FlexibleUNet(1, 2, "toy_convnext", decoder_channels=(8, 8, 8, 8, 8))
    unet.encoder.load_encoder(trained)
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(unet.encoder(x)[-1].flatten(2).transpose(1, 2), trained.embed(x)[0])
    output = unet(x)
    assert output.shape == (2, 2, 32, 32)
    output.square().sum().backward()
    assert not [name for name, parameter in unet.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"embed_dim": None}, r"'toy' is not one of the ConvNeXt sizes .*convnext_tiny.*give embed_dim and depths"),
        ({"depths": None}, r"'toy' is not one of the ConvNeXt sizes"),
        ({"depths": ()}, r"depths must name at least one stage, .*got \(\)"),
        ({"depths": (2, 0)}, r"each with at least one block, got \(2, 0\)"),
        ({"embed_dim": 0}, "embed_dim must be a positive integer, got 0"),
        ({"patch_size": (4, 4)}, r"patch_size must be a positive integer, got \(4, 4\)"),
        ({"drop_path": 1.0}, r"drop_path must lie in \[0, 1\), got 1.0"),
        ({"layer_scale": 0.0}, "layer_scale must be positive, got 0.0; the paper takes 1e-6"),
        ({"spatial_dims": 1}, "spatial_dims must be 2 or 3, got 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNeXtEncoder("toy", **{**TOY, **kwargs})


def test_images_that_do_not_fit_are_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"multiples of the encoder's stride 8, got \(16, 20\).*\(16, 24\)"):
        toy()(torch.zeros(1, 1, 16, 20))
