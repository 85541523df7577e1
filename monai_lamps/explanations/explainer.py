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

from typing import Protocol

from torch import Tensor, nn

from monai_lamps.networks import Encoder

__all__ = ["CannotExplainError", "Explainer", "encoder_of"]


class CannotExplainError(TypeError):
    """A network does not have what an explainer reads; the text says what is missing."""


class Explainer(Protocol):
    """Shows where in an image a network's answer comes from."""

    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain one class of each image.

        Args:
            network: from normalised images to logits (B, K). It is left as it was: mode, gradients, what is frozen.
            images: normalised, (B, C, *spatial), float.
            class_index: the class that is explained, 0 to K - 1.

        Returns:
            (B, 1, *spatial) float32, at least 0, on the device of the images; the more, the more a place speaks for the
            class. Not scaled image by image.

        Raises:
            CannotExplainError: when the network does not have what the explainer reads.
        """


def encoder_of(network: nn.Module, explainer: str) -> Encoder:
    """The encoder of a network.

    Args:
        network: with an attribute ``encoder``, as the networks of tasks have it.
        explainer: who asks, for the message.

    Raises:
        CannotExplainError: when it has none.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise CannotExplainError(
            f"{explainer} reads the attribute 'encoder' of type Encoder, that of {type(network).__name__} is "
            f"{type(encoder).__name__}; take a network as LinearClassifier."
        )
    return encoder
