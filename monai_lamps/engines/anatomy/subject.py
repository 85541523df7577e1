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

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .adapters import ImagesToMaps

__all__ = ["Subject"]


class Subject:
    """An encoder that is judged.

    Args:
        name: what the report calls it.
        network: from radiographs to feature maps whose mean is the embedding, see
            :data:`~monai_lamps.engines.anatomy.adapters.ImagesToMaps`.
        dense: the same for what is compared place by place, such as maps of a finer level; ``network`` by default.
        decompose: from embeddings of wholes (N, D) to those of their parts (N, P, D), parts in rows as they are read
            (top left, top right, bottom left, bottom right); None where the method has no decomposer.
        device: where it computes.
        batch_size: images at a time.
        about: where it comes from, in JSON primitives.
    """

    def __init__(
        self,
        name: str,
        network: ImagesToMaps,
        dense: ImagesToMaps | None = None,
        decompose: Callable[[Tensor], Tensor] | None = None,
        device: str | torch.device = "cpu",
        batch_size: int = 16,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.decompose = name, decompose
        self.network, self.dense = (_ready(maps, device) for maps in (network, dense or network))
        self.device, self.batch_size, self.about = device, batch_size, dict(about or {})

    def maps(self, images: Tensor) -> Tensor:
        """Feature maps (N, D, h, w), float32 on the CPU, of radiographs (N, 1, H, W) in [0, 1]."""
        return self._apply(self.dense, images, lambda maps: maps)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (N, D), float32 on the CPU: the means of the feature maps."""
        return self._apply(self.network, images, lambda maps: maps.flatten(2).mean(-1))

    def centered(self, images: Tensor, patches: Tensor) -> Subject:
        """The same encoder, with the mean feature of some images taken off.

        The features of many encoders share a large common part, so that all cosines are near 1. Without it, cosines of
        different encoders can be compared. A decomposer is left out: it expects what the encoder gives.

        Args:
            images: radiographs (N, 1, H, W) in [0, 1], whose mean over all cells is taken off maps.
            patches: (N, 1, H, W) in [0, 1], whose mean is taken off embeddings.
        """
        coarse, dense = (
            _Shifted(maps, self._apply(maps, seen, lambda found: found.mean((2, 3))).mean(0).to(self.device))
            for maps, seen in ((self.network, patches), (self.dense, images))
        )
        options: dict[str, Any] = {"device": self.device, "batch_size": self.batch_size, "about": self.about}
        return Subject(self.name, coarse, dense, **options)

    @torch.no_grad()
    def _apply(self, network: ImagesToMaps, images: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
        found = []
        for batch in images.split(self.batch_size):
            maps = network(batch.to(self.device)).float()
            if maps.ndim != 4 or len(maps) != len(batch):
                raise ValueError(
                    f"encoder '{self.name}' gave {tuple(maps.shape)} for images {tuple(batch.shape)}, expected feature "
                    "maps (B, D, h, w); see NetworkMaps for networks of other libraries."
                )
            if not torch.isfinite(maps).all():
                raise ValueError(f"encoder '{self.name}' gave NaN or infinite features; its weights are unusable.")
            found.append(reduce(maps).cpu())
        return torch.cat(found)


class _Shifted:
    """Feature maps less a vector (D,)."""

    def __init__(self, maps: ImagesToMaps, vector: Tensor) -> None:
        self.maps, self.vector = maps, vector

    def __call__(self, images: Tensor) -> Tensor:
        return self.maps(images) - self.vector[:, None, None]


def _ready(maps: ImagesToMaps, device: str | torch.device) -> ImagesToMaps:
    return maps.to(device).eval() if isinstance(maps, nn.Module) else maps
