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

import math

import pytest
import torch
import torch.nn.functional as F
from monai.networks.blocks import Convolution

from monai_lamps.networks import build_encoder
from monai_lamps.networks.segmenters import FeaturePyramid, SimpleFeaturePyramid
from monai_lamps.networks.segmenters.feature_pyramid import encoder_maps, resize_to
from monai_lamps.networks.segmenters.norm import norm_of_width

SWIN = {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4, "drop_path": 0.0}


def applied(layer: Convolution, x: torch.Tensor, padding: int) -> torch.Tensor:
    """Convolution, group normalisation with random scale and shift, ReLU, in plain terms."""
    norm = layer.adn.N
    y = F.conv2d(x, layer.conv.weight, padding=padding)
    grouped = y.reshape(len(y), norm.num_groups, -1)
    grouped = (grouped - grouped.mean(2, keepdim=True)) / (grouped.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return (grouped.reshape(y.shape) * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp(min=0)


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 8), (128, 8), (48, 4), (24, 2), (16, 4), (8, 2), (4, 1), (3, 1), (35, 1)]
)
def test_the_groups_divide_the_width_and_keep_four_channels_each(channels: int, groups: int) -> None:
    assert norm_of_width("group", channels) == ("group", {"num_groups": groups})


def test_a_normalisation_that_is_fully_described_is_left_alone() -> None:
    assert norm_of_width("batch", 8) == "batch"
    assert norm_of_width(("group", {"num_groups": 2}), 8) == ("group", {"num_groups": 2})


def test_the_coarsest_map_is_what_the_tokens_are() -> None:
    encoder = build_encoder("swin_tiny", **SWIN).eval()
    torch.nn.init.normal_(encoder.norm.weight)
    x = torch.randn(2, 1, 32, 48)
    maps, tokens = encoder_maps(encoder, x), encoder.embed(x)[0]
    torch.testing.assert_close(maps[-1].flatten(2).transpose(1, 2), tokens)
    torch.testing.assert_close(maps[0], encoder.features(x)[0])


def test_resizing_is_linear_between_the_centres_of_the_cells() -> None:
    line = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2).expand(1, 1, 2, 2)
    torch.testing.assert_close(resize_to(line, (2, 4))[0, 0, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]))
    assert resize_to(torch.zeros(1, 2, 2, 3, 4), (4, 5, 6)).shape == (1, 2, 4, 5, 6)


def test_the_feature_pyramid_agrees_with_a_plain_reference() -> None:
    torch.manual_seed(0)
    pyramid = randomised(FeaturePyramid(2, (5, 6), 8))
    fine, middle, coarse = torch.randn(2, 5, 12, 8), torch.randn(2, 6, 6, 4), torch.randn(2, 8, 3, 2)
    results = pyramid([fine, middle, coarse])
    first = applied(pyramid.lateral[1], middle, 0) + F.interpolate(coarse, scale_factor=2, mode="bilinear")
    second = applied(pyramid.lateral[0], fine, 0) + F.interpolate(first, scale_factor=2, mode="bilinear")
    expected = [applied(pyramid.smooth[0], second, 1), applied(pyramid.smooth[1], first, 1), coarse]
    for result, value in zip(results, expected, strict=True):
        torch.testing.assert_close(result, value)


@pytest.mark.parametrize(("stride", "widths"), [(16, (8, 16, 32, 32)), (32, (8, 8, 16, 32)), (4, (32, 32, 32, 32))])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_one_map_becomes_maps_of_all_strides(stride: int, widths: tuple[int, ...], spatial_dims: int) -> None:
    pyramid = SimpleFeaturePyramid(spatial_dims, 32, stride)
    size = (96, 32, 64)[:spatial_dims]
    maps = pyramid(torch.randn(2, 32, *(side // stride for side in size)))
    assert pyramid.channels == widths == tuple(each.shape[1] for each in maps)
    for made, each in zip((4, 8, 16, 32), maps):
        assert tuple(each.shape[2:]) == tuple(math.ceil(side / made) for side in size)


def test_coarser_maps_are_maxima_and_the_same_stride_is_the_map_itself() -> None:
    x = torch.randn(1, 8, 5, 4)
    same, half = SimpleFeaturePyramid(2, 8, 16, (16, 32))(x)
    torch.testing.assert_close(same, x)
    torch.testing.assert_close(half[:, :, :2], x[:, :, :4].reshape(1, 8, 2, 2, 2, 2).amax((3, 5)))
    torch.testing.assert_close(half[:, :, 2], x[:, :, 4].reshape(1, 8, 2, 2).amax(3))


def test_finer_maps_are_transposed_convolutions_of_stride_two() -> None:
    torch.manual_seed(0)
    pyramid = randomised(SimpleFeaturePyramid(2, 16, 8, (4,)))
    (layer,) = pyramid.levels[0]
    x = torch.randn(1, 16, 2, 3)
    spread = torch.einsum("bchw,cdij->bdhiwj", x, layer.conv.weight).reshape(1, 8, 4, 6)
    norm = layer.adn.N
    expected = F.gelu(F.group_norm(spread, norm.num_groups, norm.weight, norm.bias))
    torch.testing.assert_close(pyramid(x)[0], expected)


@pytest.mark.parametrize("strides", [(6,), (0,), (4, 24)])
def test_a_stride_that_cannot_be_reached_is_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"stride {strides[-1]} cannot be made from a map of stride 8 by doubling"):
        SimpleFeaturePyramid(2, 8, 8, strides)
