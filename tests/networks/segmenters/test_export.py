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

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from monai.networks.utils import convert_to_onnx, convert_to_torchscript
from torch import nn

from monai_lamps.networks import Encoder
from monai_lamps.networks.segmenters import build_segmenter

Build = Callable[..., Encoder]
ENCODERS = ["swin_tiny", "resnet18", "convnext_tiny", "vit_tiny"]
SEGMENTERS = ["upernet", "encoder_unet"]


def built(segmenter: str, encoder: Encoder) -> nn.Module:
    """A narrow segmentation network."""
    doublings = encoder.cell.bit_length() - 1
    kwargs = {"upernet": {"channels": 8}, "encoder_unet": {"decoder_channels": (8,) * doublings, "detail_channels": 4}}
    return build_segmenter(segmenter, encoder, 2, **kwargs[segmenter])


def trained_little(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """A network whose running statistics are not those of a new one, in evaluation mode, as in an export."""
    with torch.no_grad():
        net.train()(x)
    return net.eval()


@pytest.fixture(autouse=True)
def no_trace_warnings() -> None:
    """Tracing warns of every check of a shape in Python; the checks are meant to be left out of the trace."""
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)


@pytest.mark.parametrize("segmenter", SEGMENTERS)
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_torchscript_file_agrees_with_the_eager_network(
    tiny_encoder: Build, tmp_path: Path, name: str, segmenter: str, spatial_dims: int
) -> None:
    torch.manual_seed(0)
    encoder = tiny_encoder(name, spatial_dims=spatial_dims)
    net = built(segmenter, encoder)
    x = torch.randn(2, 1, 2 * encoder.cell, *(encoder.cell,) * (spatial_dims - 1))
    trained_little(net, x)
    file = str(tmp_path / "net.ts")
    convert_to_torchscript(net, file, inputs=[x], use_trace=True)
    loaded = torch.jit.load(file)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net(x), rtol=1e-4, atol=1e-5)
        other = torch.randn(3, *x.shape[1:])
        torch.testing.assert_close(loaded(other), net(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_a_traced_convolutional_network_takes_images_of_other_sizes(tiny_encoder: Build, segmenter: str) -> None:
    torch.manual_seed(0)
    net = built(segmenter, tiny_encoder("resnet18"))
    trained_little(net, torch.randn(2, 1, 64, 64))
    traced = convert_to_torchscript(net, inputs=[torch.randn(1, 1, 192, 192)], use_trace=True)
    other = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(traced(other), net(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("used_before", [False, True])
def test_a_network_can_be_traced_before_its_first_use_and_after(tiny_encoder: Build, used_before: bool) -> None:
    """The Swin keeps its masks of shifted windows and recomputes activations where gradients are on."""
    torch.manual_seed(0)
    encoder = tiny_encoder("swin_tiny")
    net = built("upernet", encoder).eval()
    x = torch.randn(1, 1, 32, 32)
    if used_before:
        net(x)
    traced = torch.jit.trace(net, x)
    assert all(isinstance(part, (int, torch.device)) for key in encoder._masks for part in key)
    torch.testing.assert_close(traced(x), net(x))


@pytest.mark.filterwarnings("error:The tensor attribute")
def test_an_export_keeps_no_masks_of_shifted_windows(tiny_encoder: Build) -> None:
    torch.manual_seed(0)
    net = tiny_encoder("swin_tiny").eval()
    x = torch.randn(1, 1, 64, 64)
    program = torch.export.export(net, (x,))
    with torch.no_grad():
        for found, expected in zip(program.module()(x), net(x), strict=True):
            torch.testing.assert_close(found, expected)
    assert net._masks  # the grid is one that is shifted


@pytest.mark.parametrize(("name", "segmenter"), [("swin_tiny", "upernet"), ("resnet18", "encoder_unet")])
def test_the_onnx_file_agrees_with_the_eager_network(
    tiny_encoder: Build, onnx_output: Callable, tmp_path: Path, name: str, segmenter: str
) -> None:
    torch.manual_seed(0)
    encoder = tiny_encoder(name)
    net = built(segmenter, encoder)
    x = torch.randn(2, 1, 2 * encoder.cell, 3 * encoder.cell)
    trained_little(net, x)
    file = tmp_path / "net.onnx"
    convert_to_onnx(net, [x], input_names=["image"], filename=str(file), dynamo=True)
    with torch.no_grad():
        torch.testing.assert_close(onnx_output(file, x), net(x), rtol=1e-4, atol=1e-5)
