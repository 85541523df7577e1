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

from torch import Tensor, nn

from .explainer import encoder_of

__all__ = ["CoarsestFeatures"]


class CoarsestFeatures(nn.Module):
    """A network whose coarsest feature maps pass through a module ``maps``, where hooks find them.

    Encoders differ in their last module, some of which gives tokens; what all have is ``features``, whose last entry is
    (B, D, *grid) before pooling. Where a network asks its encoder several times, the first answer counts, that for the
    image itself.

    Args:
        network: from normalised images to logits, with an ``encoder``.

    Raises:
        CannotExplainError: when it has no encoder.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder_of(network, "a class activation map")
        self.network, self.maps = network, nn.Identity()
        self.train(network.training)

    def forward(self, images: Tensor) -> Tensor:
        """The network's answer."""
        own, replaced = self.encoder.features, self.encoder.__dict__.get("features")
        asked = False

        def features(x: Tensor) -> list[Tensor]:
            nonlocal asked
            found = own(x)
            if asked:
                return found
            asked = True
            return [*found[:-1], self.maps(found[-1])]

        instance: dict[str, Any] = self.encoder.__dict__
        instance["features"] = features
        try:
            answer: Tensor = self.network(images)
        finally:
            del instance["features"]
            if replaced is not None:  # features that were compiled
                instance["features"] = replaced
        return answer
