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
import warnings

import pytest
import torch
import torch.nn.functional as F
from monai.networks.layers.drop_path import DropPath
from monai.networks.nets import FlexibleUNet
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE
from monai.networks.utils import convert_to_torchscript
from torch import nn

from monai_lamps.networks import (
    EMATeacher,
    FlexibleUNetEncoder,
    UPerNet,
    encoder_levels,
    register_backbone,
    sincos_position_code,
)
from monai_lamps.networks.encoders import ViTEncoder

TOY = {"embed_dim": 12, "depth": 3, "num_heads": 3, "patch_size": 4, "position_cells": 4}


def toy(**kwargs) -> ViTEncoder:
    torch.manual_seed(0)
    encoder = ViTEncoder("toy", **{**TOY, **kwargs})
    for parameter in encoder.parameters():  # large enough that every part matters
        nn.init.normal_(parameter, mean=0.1, std=0.4)
    return encoder


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_one_level_of_any_grid_and_tokens_in_rows(spatial_dims: int) -> None:
    encoder = toy(spatial_dims=spatial_dims, in_channels=2).eval()
    assert (encoder.strides, encoder.channels) == encoder_levels("vit_tiny", embed_dim=12, depth=3, patch_size=4)
    assert encoder.cell == 4
    size = (8, 12, 20)[:spatial_dims]
    x = torch.randn(2, 2, *size)
    with torch.no_grad():
        (level,) = encoder.features(x)
        tokens, mean = encoder.embed(x)
    assert level.shape == (2, 12, *(side // 4 for side in size))
    torch.testing.assert_close(tokens[0, 1], encoder.norm(level[(0, slice(None), *(0,) * (spatial_dims - 1), 1)]))
    torch.testing.assert_close(mean, tokens.mean(1))
    assert [m.shape for m in encoder.attentions(x)] == [(2, 3, tokens.shape[1], tokens.shape[1])] * 3


@torch.no_grad()
def test_the_position_code_spans_the_image_whatever_its_size() -> None:
    encoder = toy()
    for parameter in encoder.blocks.parameters():
        parameter.zero_()  # what remains is patches and code
    blank = {side: encoder.features(torch.zeros(1, 1, side, side))[0][0] for side in (16, 32)}
    bias = encoder.patch_embed.bias[:, None, None]
    expected = sincos_position_code(12, (4, 4))[0].T.view(12, 4, 4)
    torch.testing.assert_close(blank[16] - bias, expected)
    stretched = sincos_position_code(12, (8, 8), span=(4, 4))[0].T.view(12, 8, 8)
    torch.testing.assert_close(blank[32] - bias, stretched)
    coarse = F.avg_pool2d(blank[32][None], 2)[0]  # two fine cells lie about the centre of a coarse one
    assert F.cosine_similarity(coarse.flatten(), blank[16].flatten(), dim=0) > 0.99


@torch.no_grad()
def test_attentions_are_rows_of_shares_that_explain_the_block() -> None:
    encoder = toy().eval()
    x = torch.randn(1, 1, 16, 16)
    for matrix in encoder.attentions(x):
        assert matrix.dtype == torch.float32
        assert (matrix >= 0).all()
        torch.testing.assert_close(matrix.sum(-1), torch.ones(1, 3, 16))
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder.attentions(x)
    assert {matrix.dtype for matrix in half} == {torch.float32}


def test_gradients_flow_through_the_attentions() -> None:
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    toy().attentions(x)[-1][..., 0].sum().backward()
    assert x.grad is not None
    assert x.grad.any()


def test_the_config_is_json_and_rebuilds_the_same_encoder() -> None:
    encoder = toy(spatial_dims=3, in_channels=2, drop_path=0.3, recompute="all", mlp_ratio=2.0)
    config = json.loads(json.dumps(encoder.config))
    twin = ViTEncoder(**config)
    assert twin.config == encoder.config == config
    twin.load_state_dict(encoder.state_dict())
    x = torch.randn(1, 2, 8, 8, 16)
    assert torch.equal(twin.eval()(x), encoder.eval()(x))


@torch.no_grad()
def test_stochastic_depth_rises_to_the_last_block_and_acts_only_in_training() -> None:
    encoder = toy(drop_path=0.4)
    rates = [module.drop_prob for module in encoder.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.0, 0.2, 0.4])
    x = torch.randn(1, 1, 16, 16).expand(16, -1, -1, -1)
    plain = toy()(x)
    assert torch.equal(encoder.eval()(x), plain)
    assert len(encoder.train()(x).unique(dim=0)) > 1
    assert torch.equal(EMATeacher(encoder).train()(x), plain)


def test_bf16_autocast_stays_close_to_fp32_and_its_sums_are_fp32() -> None:
    torch.manual_seed(0)
    encoder = ViTEncoder("toy", **TOY)
    x = torch.randn(2, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(x)
        assert encoder.features(x)[0].dtype == torch.float32
    half.float().square().sum().backward()
    assert not [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    torch.testing.assert_close(half.float(), encoder(x), rtol=0.05, atol=0.05)


@torch.no_grad()
def test_a_trace_takes_other_batches_and_agrees() -> None:
    warnings.filterwarnings("ignore")
    encoder = toy().eval()
    x = torch.randn(2, 1, 16, 16)
    traced = convert_to_torchscript(encoder, inputs=[x], use_trace=True)
    for images in (x, torch.randn(5, 1, 16, 16)):
        torch.testing.assert_close(traced(images), encoder(images), rtol=1e-4, atol=1e-5)


def test_a_unet_and_a_upernet_on_it_train_all_of_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FLEXUNET_BACKBONE, "register_dict", dict(FLEXUNET_BACKBONE.register_dict))
    monkeypatch.setattr(FlexibleUNetEncoder, "_entries", dict(FlexibleUNetEncoder._entries))
    assert FLEXUNET_BACKBONE.register_dict["vit_tiny"]["feature_channel"] == (24, 48, 96, 192)
    trained = toy()
    register_backbone("toy_vit", **{**trained.config, "name": "vit_tiny"})
    unet = FlexibleUNet(1, 2, "toy_vit", decoder_channels=(8, 8, 8, 8, 8))
    unet.encoder.load_encoder(trained)
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(unet.encoder(x)[-1].flatten(2).transpose(1, 2), trained.embed(x)[0])
    for net in (unet, UPerNet(toy(), 2, channels=8)):
        output = net(x)
        assert output.shape == (2, 2, 32, 32)
        output.square().sum().backward()
        assert not [name for name, parameter in net.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"embed_dim": None}, r"'toy' is not one of the ViT sizes .*vit_tiny.*give embed_dim, depth and num_heads"),
        ({"depth": None}, r"'toy' is not one of the ViT sizes"),
        ({"depth": 0}, "depth must be a positive integer, got 0"),
        ({"embed_dim": 0}, "embed_dim must be a positive integer, got 0"),
        ({"patch_size": (4, 4)}, r"patch_size must be a positive integer, got \(4, 4\)"),
        ({"num_heads": 5}, "num_heads must divide embed_dim, got 5 and 12"),
        ({"embed_dim": 3, "spatial_dims": 3}, "embed_dim must be at least 6 for a position code, got 3"),
        ({"position_cells": 0}, "position_cells must be a positive integer, got 0"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one hidden channel, got 0.0"),
        ({"drop_path": 1.0}, r"drop_path must lie in \[0, 1\), got 1.0"),
        ({"recompute": "some"}, "recompute must be one of .*got 'some'"),
        ({"spatial_dims": 1}, "spatial_dims must be 2 or 3, got 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ViTEncoder("toy", **{**TOY, **kwargs})


def test_images_that_do_not_fit_are_refused_with_the_mend() -> None:
    for call in (toy(), toy().attentions):
        with pytest.raises(ValueError, match=r"multiples of the encoder's stride 4, got \(16, 18\).*\(16, 20\)"):
            call(torch.zeros(1, 1, 16, 18))
