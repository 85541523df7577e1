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
"""From any network to feature maps: what an encoder must be able to do to be judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from monai_lamps.engines.dense_features import TokenMaps
from monai_lamps.networks import Encoder

__all__ = ["EncoderMaps", "ImagesToMaps", "NetworkMaps"]

#: from radiographs (B, 1, H, W), float in [0, 1], to feature maps (B, D, h, w), row 0 on top
ImagesToMaps = Callable[[Tensor], Tensor]


class EncoderMaps(nn.Module):
    """Feature maps of an encoder of this package.

    Of the coarsest level, the mean over the cells is what ``encoder(x)`` returns.

    Args:
        encoder: a 2-D encoder of one channel.
        normalization: {"mean", "std"} that its card gives.
        levels: see :class:`~monai_lamps.engines.dense_features.TokenMaps`.
    """

    def __init__(self, encoder: Encoder, normalization: Mapping[str, float], levels: Sequence[int] = (-1,)) -> None:
        super().__init__()
        self.encoder, self.mean, self.std = encoder, normalization["mean"], normalization["std"]
        self.token_maps = TokenMaps(encoder, levels)

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps (B, D, H / stride, W / stride) of radiographs (B, 1, H, W) in [0, 1]."""
        return self.token_maps((images - self.mean) / self.std)


class NetworkMaps(nn.Module):
    """The feature maps of any network, such as one of MONAI.

    Args:
        network: the network; put into eval mode.
        layer: name of the submodule whose output is taken (``features`` of MONAI's DenseNet); the network's own output
            by default. Of several maps the last is taken.
        mean: subtracted from images in [0, 1].
        std: what they are then divided by.
        in_channels: how often the grey channel is repeated, 3 for networks that want colours.

    Raises:
        ValueError: when the network has no such layer; from a call, when its output is no feature map.

    Example::

        NetworkMaps(DenseNet121(spatial_dims=2, in_channels=1, out_channels=2), layer="features")
    """

    def __init__(
        self, network: nn.Module, layer: str = "", mean: float = 0.0, std: float = 1.0, in_channels: int = 1
    ) -> None:
        super().__init__()
        modules = dict(network.named_modules())
        if layer not in modules:
            names = [name for name in modules if name and "." not in name]
            raise ValueError(f"layer got '{layer}', which the network lacks; it has {', '.join(names)}.")
        self.network, self.layer, self.mean, self.std = network.eval(), layer, mean, std
        self.in_channels = in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps (B, D, h, w) of radiographs (B, 1, H, W) in [0, 1]."""
        caught: list[Any] = []
        hook = self.network.get_submodule(self.layer).register_forward_hook(lambda *call: caught.append(call[-1]))
        try:
            self.network(((images - self.mean) / self.std).repeat(1, self.in_channels, 1, 1))
        finally:
            hook.remove()
        found = caught[-1]
        while isinstance(found, Sequence) and len(found):
            found = found[-1]
        if not isinstance(found, Tensor) or found.ndim != 4:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"the output of layer '{self.layer}' is {shape}, expected feature maps (B, D, h, w); name a layer "
                "that gives some, before the pooling."
            )
        return found
