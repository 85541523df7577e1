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

from typing import Any

import pytest
import torch
from monai.networks.nets import SwinUNETR
from torch import nn

from monai_lamps.checkpoints.swin_unetr import load_swin_unetr, merge_patches
from monai_lamps.networks import SwinEncoder, build_encoder
from monai_lamps.networks.segmenters import build_swin_unetr

TINY = {"embed_dim": 12, "depths": [2, 1, 2, 1], "num_heads": [1, 2, 2, 2], "window_size": 2, "drop_path": 0.0}
SIZES = {2: (64, 96), 3: (32, 32, 64)}


def swin(spatial_dims: int = 2, patch_size: int = 2, **kwargs: Any) -> SwinEncoder:
    """A tiny encoder with random norms and biases, so that each tensor counts."""
    encoder = build_encoder("swin_tiny", spatial_dims=spatial_dims, patch_size=patch_size, **{**TINY, **kwargs})
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


def stage_outputs(net: SwinUNETR, x: torch.Tensor) -> list[torch.Tensor]:
    """What the blocks of each stage of the network give, before the patch merging."""
    seen: list[torch.Tensor] = []
    hooks = [
        getattr(net.swinViT, f"layers{stage}")[0]
        .blocks[-1]
        .register_forward_hook(lambda _, __, output: seen.append(output.movedim(-1, 1)))
        for stage in (1, 2, 3, 4)
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_stages_of_the_network_give_what_the_encoder_gives(spatial_dims: int) -> None:
    torch.manual_seed(0)
    encoder = swin(spatial_dims)
    net = build_swin_unetr(encoder, 2, norm_name="batch").eval()
    load_swin_unetr(net, encoder)
    x = torch.randn(2, 1, *SIZES[spatial_dims])
    with torch.no_grad():
        expected = encoder.features(x)
    for result, value in zip(stage_outputs(net, x), expected, strict=True):
        torch.testing.assert_close(result, value, rtol=1e-4, atol=1e-4)


def test_patches_of_four_pixels_see_the_image_as_if_it_were_enlarged() -> None:
    torch.manual_seed(0)
    encoder = swin(patch_size=4)
    net = build_swin_unetr(encoder, 2, norm_name="batch").eval()
    report = load_swin_unetr(net, encoder)
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = encoder.features(x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    for result, value in zip(stage_outputs(net, x), expected, strict=True):
        torch.testing.assert_close(result, value, rtol=1e-4, atol=1e-4)
    assert "summed from 4 to 2 px" in str(report)


def test_the_report_tells_what_stays_random_and_nothing_else_is_touched() -> None:
    encoder = swin()
    net = build_swin_unetr(encoder, 2)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    report = load_swin_unetr(net, encoder)
    after = net.state_dict()
    loaded = {f"swinViT.{key.removeprefix('swin.')}" for key in report.loaded}
    assert loaded == {f"swinViT.{key}" for key in encoder.swin.state_dict()}
    for key, tensor in after.items():
        expected = encoder.swin.state_dict()[key.removeprefix("swinViT.")] if key in loaded else before[key]
        assert torch.equal(tensor, expected)
    names = {key for key, _ in net.named_parameters()}
    assert set(report.missing) == names - loaded
    own = sum(p.numel() for p in net.swinViT.parameters())
    last = sum(p.numel() for p in net.swinViT.layers4[0].downsample.parameters())
    assert report.coverage == pytest.approx(1 - last / own)
    assert set(report.ignored) == {"norm.weight", "norm.bias"}
    text = str(report)
    assert f"swinViT.layers4.0.downsample ({last:,})" in text
    for part in ("encoder1", "encoder10", "decoder5", "decoder1", "out"):
        count = sum(p.numel() for p in getattr(net, part).parameters())
        assert f"{part} ({count:,})" in text
    assert "eps" not in text


def test_small_differences_are_noted() -> None:
    encoder = swin(small_grid_shift=True)
    text = str(load_swin_unetr(build_swin_unetr(encoder, 2, norm_layer=nn.LayerNorm), encoder))
    assert "eps [1e-05], those of the encoder 1e-06" in text
    assert "shifts windows on grids that equal the window, SwinUNETR does not" in text


def test_a_second_version_of_the_network_keeps_its_own_convolutions() -> None:
    encoder = swin()
    report = load_swin_unetr(build_swin_unetr(encoder, 2, use_v2=True), encoder)
    assert any(key.startswith("swinViT.layers1c") for key in report.missing)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"patch_norm": False},
            "no place for 2 tensors of the encoder, such as 'patch_embed.norm.bias': its patch_norm",
        ),
        ({"qkv_bias": False}, "no place for 6 tensors of the encoder, .* qkv_bias"),
        ({"depths": (1, 1, 1, 1)}, "no place for .* depths differ"),
        ({"depths": (2, 1, 2, 2)}, r"have \[2, 1, 2, 2\] blocks, those of the encoder \[2, 1, 2, 1\]"),
        ({"window_size": 3}, r"is \(9, 1\) in the encoder and \(25, 1\) in the network: .* window_size"),
        ({"num_heads": (2, 2, 2, 2)}, r"is \(9, 1\) in the encoder and \(9, 2\) in the network: .* num_heads"),
        ({"feature_size": 24}, r"is \(12, 1, 2, 2\) in the encoder and \(24, 1, 2, 2\) in the network"),
        ({"in_channels": 3}, r"is \(12, 1, 2, 2\) in the encoder and \(12, 3, 2, 2\) in the network: in_channels"),
        ({"spatial_dims": 3}, "the network is 3-D and the encoder 2-D"),
        ({"patch_size": 4}, r"is \(12, 1, 2, 2\) in the encoder and \(12, 1, 4, 4\) in the network: .* patch_size"),
    ],
)
def test_a_network_of_other_sizes_is_refused_and_left_as_it_was(own: dict, message: str) -> None:
    encoder = swin()
    net = build_swin_unetr(encoder, 2, **own)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    with pytest.raises(ValueError, match=f"{message}.*build the network with .*build_swin_unetr"):
        load_swin_unetr(net, encoder)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


def test_another_order_of_merging_has_the_same_shapes_and_is_refused_in_three_dimensions() -> None:
    encoder = swin(3)
    net = build_swin_unetr(encoder, 2, downsample="mergingv2")
    with pytest.raises(ValueError, match="merges patches by PatchMergingV2, the encoder by PatchMerging; build"):
        load_swin_unetr(net, encoder)
    flat = swin(2)
    load_swin_unetr(build_swin_unetr(flat, 2, downsample="mergingv2"), flat)


def test_weights_that_are_not_finite_are_refused() -> None:
    encoder = swin()
    with torch.no_grad():
        encoder.swin.patch_embed.proj.bias[0] = float("nan")
    with pytest.raises(ValueError, match=r"'patch_embed.proj.bias' in the encoder holds values that are not finite"):
        load_swin_unetr(build_swin_unetr(encoder, 2), encoder)


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="expected MONAI's SwinUNETR and a SwinEncoder, got Linear and SwinEncoder"):
        load_swin_unetr(nn.Linear(1, 1), swin())


def test_a_merged_kernel_sums_the_pixels_that_fall_together() -> None:
    weight = torch.arange(16.0).view(1, 1, 4, 4)
    torch.testing.assert_close(merge_patches(weight, 2), torch.tensor([[10.0, 18.0], [42.0, 50.0]]).view(1, 1, 2, 2))
    assert torch.equal(merge_patches(weight, 4), weight)
    assert merge_patches(torch.ones(2, 1, 6, 6, 6), 2).eq(27).all()
    with pytest.raises(ValueError, match="patches of 4 px cannot be merged to patches of 3 px; choose a divisor of 4"):
        merge_patches(weight, 3)
