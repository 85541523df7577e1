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
from monai.networks.nets import FlexibleUNet
from torch import nn

from monai_lamps.networks import Encoder, build_encoder
from monai_lamps.networks.segmenters import EncoderUNet

Build = Callable[..., Encoder]


def test_every_registered_encoder_gives_logits_of_the_size_of_the_image(any_encoder: Encoder) -> None:
    net = EncoderUNet(any_encoder, 3).eval()
    cell = any_encoder.cell
    with torch.no_grad():
        assert net(torch.randn(2, 1, 2 * cell, 3 * cell)).shape == (2, 3, 2 * cell, 3 * cell)
    assert net.encoder is any_encoder


@pytest.mark.parametrize("upsample", ["nontrainable", "deconv", "pixelshuffle"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", ["swin_tiny", "resnet18", "convnext_tiny"])
def test_the_gradient_reaches_every_parameter(tiny_encoder: Build, name: str, spatial_dims: int, upsample: str) -> None:
    torch.manual_seed(0)
    encoder = tiny_encoder(name, spatial_dims=spatial_dims)
    doublings = encoder.cell.bit_length() - 1
    net = EncoderUNet(encoder, 2, decoder_channels=(8,) * doublings, detail_channels=4, upsample=upsample)
    size = (2 * encoder.cell, *(encoder.cell,) * (spatial_dims - 1))
    logits = net(torch.randn(2, 1, *size))
    assert logits.shape == (2, 2, *size)
    logits.square().mean().backward()
    assert not [key for key, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(
    ("name", "kwargs", "detail", "decoder"),
    [
        ("convnext_tiny", {"embed_dim": 8, "depths": [1, 1, 1, 1]}, [16, 32], [256, 128, 64, 32, 16]),
        ("convnext_tiny", {"embed_dim": 8, "depths": [1], "patch_size": 32}, [16, 32, 64, 128, 256], None),
        ("convnext_tiny", {"embed_dim": 8, "depths": [1, 1], "patch_size": 32}, [16, 32, 64, 128, 256], None),
        ("resnet18", {"base_channels": 4}, [16], [256, 128, 64, 32, 16]),
        ("resnet18", {"base_channels": 4, "stride": 16}, [16], [128, 64, 32, 16]),
        ("resnet18", {"base_channels": 4, "stride": 8}, [], [64, 32, 16]),
        ("convnext_tiny", {"embed_dim": 8, "depths": [1], "patch_size": 2}, [16], [16]),
    ],
)
def test_missing_levels_come_from_the_detail_branch(
    name: str, kwargs: dict, detail: list[int], decoder: list[int] | None
) -> None:
    encoder = build_encoder(name, **kwargs)
    net = EncoderUNet(encoder, 2).eval()
    assert [layer.conv.out_channels for layer in net.detail] == detail
    widths = [block.convs.conv_1.conv.out_channels for block in net.decoder]
    assert widths == (decoder or [256] * (encoder.cell.bit_length() - 6) + [256, 128, 64, 32, 16])
    size = (encoder.cell, 2 * encoder.cell)
    assert net(torch.zeros(1, 1, *size)).shape == (1, 2, *size)


def test_the_decoder_is_that_of_monais_flexible_unet_but_for_the_skip_at_full_resolution() -> None:
    """With the same weights and without the skip, both give the same."""
    torch.manual_seed(0)
    batch = ("batch", {"eps": 1e-3, "momentum": 0.1})
    theirs = FlexibleUNet(1, 3, "lamps_resnet18").eval()
    ours = EncoderUNet(theirs.encoder.encoder, 3, norm=batch, act="relu", interp_mode="nearest").eval()
    state = ours.state_dict()
    for key, tensor in theirs.decoder.state_dict().items():
        own = f"decoder.{key.removeprefix('blocks.')}"
        if state[own].shape == tensor.shape:
            state[own] = tensor
        else:  # the first convolution at full resolution: the skip's channels come first
            state[own] = torch.cat([torch.zeros(16, 16, 3, 3), tensor], dim=1)
    state |= {f"head.{key}": tensor for key, tensor in theirs.segmentation_head.state_dict().items()}
    ours.load_state_dict(state)
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_a_single_pixel_of_the_image_is_seen_at_full_resolution(tiny_encoder: Build) -> None:
    """Through the skip alone: the encoder's maps are held at zero."""
    torch.manual_seed(0)
    net = EncoderUNet(tiny_encoder("swin_tiny"), 1, norm=("instance", {"affine": False})).eval()
    for level in net.decoder[:-1]:
        level.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
    x = torch.randn(1, 1, 32, 32)
    x.requires_grad_()
    net(x)[0, 0, 16, 16].backward()
    near = x.grad[0, 0, 12:21, 12:21].abs().max()
    far = x.grad[0, 0, :8].abs().max()
    assert near > 10 * far


@pytest.mark.parametrize("norm", ["batch", "group", ["group", {"num_groups": 4}], ("instance", {"affine": True})])
def test_the_normalisation_is_chosen_by_name(tiny_encoder: Build, norm: str | list | tuple) -> None:
    net = EncoderUNet(tiny_encoder("swin_tiny"), 2, norm=norm)
    expected = {"batch": nn.BatchNorm2d, "group": nn.GroupNorm, "instance": nn.InstanceNorm2d}
    kind = expected[norm if isinstance(norm, str) else norm[0]]
    blocks = [*net.detail, *net.decoder]
    assert all(any(isinstance(layer, kind) for layer in block.modules()) for block in blocks)
    net(torch.randn(2, 1, 32, 32)).sum().backward()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"decoder_channels": (8, 8)}, r"decoder_channels must name 4 positive widths, .* got \(8, 8\)"),
        ({"decoder_channels": (8, 8, 8, 0)}, r"decoder_channels must name 4 positive widths, .* got \(8, 8, 8, 0\)"),
        ({"detail_channels": 0}, "detail_channels must be a positive integer, got 0"),
        ({"out_channels": 1.5}, "out_channels must be a positive integer, got 1.5"),
    ],
)
def test_what_has_no_valid_value_is_refused(tiny_encoder: Build, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderUNet(tiny_encoder("swin_tiny"), **{"out_channels": 2, **kwargs})


def test_encoders_that_no_unet_fits_are_refused() -> None:
    with pytest.raises(TypeError, match="expected an Encoder, got Linear; build one with build_encoder"):
        EncoderUNet(nn.Linear(1, 1), 2)
    with pytest.raises(ValueError, match=r"powers of two and double, got strides \(14,\); choose a patch size"):
        EncoderUNet(build_encoder("convnext_tiny", embed_dim=8, depths=[1], patch_size=14), 2)
    with pytest.raises(ValueError, match=r"needs an encoder that reduces the resolution, got strides \(1,\)"):
        EncoderUNet(build_encoder("convnext_tiny", embed_dim=8, depths=[1], patch_size=1), 2)


def test_an_image_that_does_not_fit_the_encoder_is_refused_by_it(tiny_encoder: Build) -> None:
    with pytest.raises(ValueError, match="multiples of the encoder's stride 16"):
        EncoderUNet(tiny_encoder("swin_tiny"), 2)(torch.zeros(1, 1, 24, 32))
