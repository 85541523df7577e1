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

from collections.abc import Sequence
from pathlib import Path

import torch
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from monai_lamps.checkpoints import load_network, read_network_card
from monai_lamps.tasks import Segmentation

from .explainer import CannotExplainError, Explainer

__all__ = ["AnatomyExplainer", "anatomy_explainer"]


class AnatomyExplainer:
    """Where chosen structures lie: the control that knows anatomy and nothing else.

    The map is the largest probability that a segmentation network gives to any of the structures; it asks neither the
    network that is explained nor the class. Most findings of a chest lie in the lungs, so an explanation that is no
    better than this control has only found the organ.

    Args:
        segmentation: draws the structures, on the device of the images.
        image_size: side of the square images that it was trained with, px.
        structures: names of those that count, or one name; all of the network by default.
        mean, std: normalisation of the images that are explained, which is undone before the network sees them.

    Raises:
        ValueError: when the network does not know a structure.
    """

    def __init__(
        self,
        segmentation: Segmentation,
        image_size: int,
        structures: Sequence[str] | str | None = None,
        mean: float = 0.5056,
        std: float = 0.252,
    ) -> None:
        known = segmentation.structures
        wanted = [structures] if isinstance(structures, str) else list(structures or known)
        if unknown := [name for name in wanted if name not in known]:
            raise ValueError(f"anatomy_structures got '{unknown[0]}', expected some of {', '.join(known)}.")
        self.segmentation, self.image_size, self.mean, self.std = segmentation.eval(), image_size, mean, std
        self._channels = [known.index(name) for name in wanted]

    @torch.no_grad()
    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Show the structures, see :class:`~monai_lamps.explanations.Explainer`."""
        size = images.shape[2:]
        own = _resized(images.float() * self.std + self.mean, [self.image_size] * len(size))
        probabilities = self.segmentation.predict(own)[:, self._channels]
        return _resized(probabilities.amax(dim=1, keepdim=True), size)


def anatomy_explainer(
    network_file: str | Path,
    structures: Sequence[str] | str | None = None,
    mean: float = 0.5056,
    std: float = 0.252,
    device: str | torch.device = "cpu",
) -> Explainer:
    """The control of anatomy from the file of a fine-tuned segmentation network.

    Args:
        network_file: ``best.pt`` or ``last.pt`` of a run of ``radiograph_segmentation`` with ``network.json`` beside
            it; an empty text gives an explainer that can explain nothing, and says why.
        structures: see :class:`AnatomyExplainer`.
        mean, std: normalisation of the images that are explained.
        device: where they lie.

    Raises:
        FileNotFoundError: when there is no such file, or no card beside it.
        ValueError: when it is not that of a segmentation network, which does not know a structure, or cannot be used;
            also when structures are chosen without a network.
    """
    if not str(network_file):
        if structures:
            raise ValueError(f"anatomy_structures got {structures}, but no anatomy_network knows them; give one.")
        return _no_anatomy
    network, card = load_network(network_file), read_network_card(network_file)
    if card["task"] != Segmentation.name:
        raise ValueError(
            f"anatomy_network got '{network_file}', a network for {card['task']}, expected one for {Segmentation.name};"
            " take best.pt of a run of radiograph_segmentation."
        )
    own = card["normalization"]
    segmentation = Segmentation(network, card["names"], own["mean"], own["std"]).to(device)
    return AnatomyExplainer(segmentation, card["image_size"], structures, mean, std)


def _no_anatomy(network: nn.Module, images: Tensor, class_index: int) -> Tensor:
    raise CannotExplainError(
        "where the organs lie is known to a segmentation network alone, and none was given (--anatomy_network "
        "SEGMENTATION/best.pt)."
    )


def _resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Averaged where that is smaller, as the bundles prepare images, and linear where it is larger."""
    if all(have >= want for have, want in zip(images.shape[2:], size)):
        return nn.functional.interpolate(images, size=list(size), mode="area")
    enlarged: Tensor = default_upsampler(size)(images)
    return enlarged
