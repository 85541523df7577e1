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
"""The residual network in a state dict of others: its sizes and its key names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from .encoder_layout import OWN_FILE, EncoderLayout, find_prefix, require_key
from .stem import fold_padded_stem

if TYPE_CHECKING:
    from .released_families import ReleasedFamily

__all__ = ["ResNetLayout", "read_resnet"]

_ENDING = "layer1.0.conv1.weight"
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.")
_DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
_OWN = "resnet."


@dataclass(frozen=True)
class ResNetLayout(EncoderLayout):
    """A ResNet-18 or ResNet-50 under torchvision's key names: the encoder of Adam, and the smaller one of Adam-v2."""

    @property
    def title(self) -> str:
        return f"{self.config['name']} with width {self.config['base_channels']}"

    @property
    def stem(self) -> tuple[str, ...]:
        return (f"{self.prefix}conv1.weight",)

    def source_of(self, key: str) -> str | None:
        return self.prefix + key.removeprefix(_OWN) if key.startswith(_OWN) else None

    def fold(
        self,
        state: Mapping[str, Tensor],
        channel_mean: tuple[float, ...],
        channel_std: tuple[float, ...],
        mean: float,
        std: float,
        in_channels: int,
    ) -> dict[str, Tensor]:
        (key,) = self.stem
        return {**state, key: fold_padded_stem(state[key], channel_mean, channel_std, mean, std, in_channels)}

    def notes(self, family: ReleasedFamily) -> tuple[str, ...]:
        return (
            "the first convolution pads with zeros, so it sees a constant channel, too: exact, the border included",
            "the network has no LayerNorm on its tokens: the encoder's is without effect of weights (1 and 0), and the "
            "mean of features(x)[-1] over the cells is the embedding that the network was trained with",
        )


def read_resnet(state: Mapping[str, Tensor], source: str) -> ResNetLayout | None:
    """Find the residual network in a state dict; None when there is none.

    Args:
        state: tensors by key, without ``module.``.
        source: name of the file, for messages.

    Raises:
        ValueError: when there are several, it is of another depth than ResNet-18 or ResNet-50, or one of our own.
    """
    prefix = find_prefix(state, _ENDING, source, "residual networks")
    if prefix is None:
        return None
    if prefix.endswith(_OWN) and f"{prefix.removesuffix(_OWN)}norm.weight" in state:
        raise ValueError(f"unknown layout in '{source}': {OWN_FILE}.")
    stem = require_key(state, f"{prefix}conv1.weight", source, "ResNet")
    names = [key.removeprefix(prefix) for key in state if key.startswith(prefix)]
    name = "resnet50" if "layer1.0.conv3.weight" in names else "resnet18"
    depths = [0, 0, 0, 0]
    for match in filter(None, map(_BLOCK.match, names)):
        stage, block = int(match[1]) - 1, int(match[2])
        depths[stage] = max(depths[stage], block + 1)
    if any(depth > known for depth, known in zip(depths, _DEPTHS[name])):  # fewer: blocks are missing, see the report
        raise ValueError(
            f"the stages of the ResNet in '{source}' have {depths} blocks, expected {list(_DEPTHS[name])} ({name}); "
            "take the weights of a ResNet-50 or ResNet-18."
        )
    config = {
        "name": name,
        "spatial_dims": stem.ndim - 2,
        "in_channels": stem.shape[1],
        "stride": 32,
        "base_channels": stem.shape[0],
        "norm": "batch",
        "constant_channel": True,
    }
    return ResNetLayout(prefix, config)
