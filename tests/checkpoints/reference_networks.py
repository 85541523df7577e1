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
"""ResNets and ConvNeXts of others: state dicts in their layouts, and what they compute, as plain functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def draw(*shape: int, generator: torch.Generator) -> Tensor:
    fan_in = max(torch.Size(shape[1:]).numel(), 1)
    return torch.randn(shape, generator=generator) / fan_in**0.5


def resnet(depths: tuple[int, ...] = (3, 4, 6, 3), width: int = 4, bottleneck: bool = True) -> State:
    """A ResNet for RGB as torchvision names it, without its classifier."""
    g, state = torch.Generator().manual_seed(0), {}

    def conv_norm(conv: str, norm: str, out: int, into: int, kernel: int) -> None:
        state[f"{conv}.weight"] = draw(out, into, kernel, kernel, generator=g)
        state[f"{norm}.weight"], state[f"{norm}.bias"] = (1 + draw(out, generator=g) / 10, draw(out, generator=g) / 10)
        state[f"{norm}.running_mean"] = draw(out, generator=g) / 10
        state[f"{norm}.running_var"] = 1 + torch.rand(out, generator=g)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    conv_norm("conv1", "bn1", width, 3, 7)
    into = width
    for stage, depth in enumerate(depths):
        inner = width * 2**stage
        out = inner * (4 if bottleneck else 1)
        for number in range(depth):
            name, first = f"layer{stage + 1}.{number}", into if number == 0 else out
            sizes = (
                ((inner, first, 1), (inner, inner, 3), (out, inner, 1))
                if bottleneck
                else ((out, first, 3), (out, out, 3))
            )
            for layer, size in enumerate(sizes, start=1):
                conv_norm(f"{name}.conv{layer}", f"{name}.bn{layer}", *size)
            if number == 0 and (stage > 0 or into != out):
                conv_norm(f"{name}.downsample.0", f"{name}.downsample.1", out, into, 1)
        into = out
    return state


def resnet_features(state: State, x: Tensor) -> Tensor:
    """What torchvision's ResNet gives before its pooling, for RGB that is normalised already."""

    def norm(name: str, x: Tensor) -> Tensor:
        return F.batch_norm(x, *(state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")))

    x = F.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(norm("bn1", x).relu(), 3, 2, 1)
    blocks = sorted({key.rsplit(".conv1", 1)[0] for key in state if key.endswith(".conv1.weight")} - {"conv1.weight"})
    for name in blocks:
        stride = 2 if name.endswith(".0") and not name.startswith("layer1") else 1
        wide = f"{name}.conv3.weight" in state
        y = F.conv2d(x, state[f"{name}.conv1.weight"], stride=1 if wide else stride, padding=0 if wide else 1)
        y = norm(f"{name}.bn1", y).relu()
        y = norm(f"{name}.bn2", F.conv2d(y, state[f"{name}.conv2.weight"], stride=stride if wide else 1, padding=1))
        if wide:
            y = norm(f"{name}.bn3", F.conv2d(y.relu(), state[f"{name}.conv3.weight"]))
        if f"{name}.downsample.0.weight" in state:
            x = norm(f"{name}.downsample.1", F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride))
        x = (x + y).relu()
    return x


def convnext(width: int = 4, depths: tuple[int, ...] = (1, 2, 1, 1)) -> State:
    """A ConvNeXt for RGB as its authors name it, without its classifier."""
    g, state = torch.Generator().manual_seed(1), {}

    def add(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = draw(*shape, generator=g) + (1 if len(shape) == 1 else 0)
        state[f"{name}.bias"] = draw(shape[0], generator=g) / 10

    for stage, depth in enumerate(depths):
        dim = width * 2**stage
        if stage == 0:
            add("downsample_layers.0.0", dim, 3, 4, 4)
            add("downsample_layers.0.1", dim)
        else:
            add(f"downsample_layers.{stage}.0", dim // 2)
            add(f"downsample_layers.{stage}.1", dim, dim // 2, 2, 2)
        for block in range(depth):
            name = f"stages.{stage}.{block}"
            state[f"{name}.gamma"] = draw(dim, generator=g)
            add(f"{name}.dwconv", dim, 1, 7, 7)
            add(f"{name}.norm", dim)
            add(f"{name}.pwconv1", 4 * dim, dim)
            add(f"{name}.pwconv2", dim, 4 * dim)
    add("norm", width * 2 ** (len(depths) - 1))
    return state


def convnext_features(state: State, x: Tensor) -> Tensor:
    """What the authors' ConvNeXt gives before its pooling, for RGB that is normalised already."""

    def norm(name: str, x: Tensor) -> Tensor:
        cells = F.layer_norm(x.movedim(1, -1), x.shape[1:2], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)
        return cells.movedim(-1, 1)

    def conv(name: str, x: Tensor, **options: int) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    stages = sorted({key.split(".")[1] for key in state if key.startswith("stages.")})
    for stage in stages:
        name = f"downsample_layers.{stage}"
        x = (
            norm(f"{name}.1", conv(f"{name}.0", x, stride=4))
            if stage == "0"
            else conv(f"{name}.1", norm(f"{name}.0", x), stride=2)
        )
        for block in sorted({key.split(".")[2] for key in state if key.startswith(f"stages.{stage}.")}):
            name = f"stages.{stage}.{block}"
            y = norm(f"{name}.norm", conv(f"{name}.dwconv", x, padding=3, groups=x.shape[1])).movedim(1, -1)
            y = F.gelu(F.linear(y, state[f"{name}.pwconv1.weight"], state[f"{name}.pwconv1.bias"]))
            y = F.linear(y, state[f"{name}.pwconv2.weight"], state[f"{name}.pwconv2.bias"])
            x = x + (state[f"{name}.gamma"] * y).movedim(-1, 1)
    return x
