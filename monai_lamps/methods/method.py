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
"""The contract between a self-supervised method and everything that trains, watches and exports it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from monai_lamps.networks import Encoder

if TYPE_CHECKING:
    from monai_lamps.engines import Progress

__all__ = ["Method"]


class Method(nn.Module, ABC):
    """A self-supervised method: student, teacher, heads and named loss terms, and nothing of files, devices or engines.

    A subclass puts bricks of ``networks``, ``losses`` and ``transforms`` together so that its :meth:`forward` reads
    like its paper. A trainer needs only ``sum(method(batch, progress).values())``; whatever follows the optimizer step
    (teacher, queue, centre) moves in :meth:`after_step`.

    Attributes:
        name: short name, written into checkpoints and encoder cards, by which a foreign checkpoint is recognised.
        mean, std: normalisation of images in [0, 1] that the encoder expects; it goes into the encoder's card.
        latest: detached scalars of the last forward that are worth watching (unweighted losses, accuracies).
    """

    name: str
    mean: float
    std: float

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, Tensor] = {}

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """Weighted loss terms by name; their plain sum is the loss. Only active objectives appear.

        Args:
            batch: what the method's sample transform made, collated: tensors with the batch first.
            progress: where the run stands; every schedule is a pure function of it.
        """

    @abstractmethod
    def after_step(self, progress: Progress) -> None:
        """Move what follows an optimizer step: the teacher, queues, centres."""

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """The encoder that is exported (by default the teacher's)."""

    @abstractmethod
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalar figures of a validation batch, each a mean over its samples."""

    @abstractmethod
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Pictures that show what the method sees and answers: (1 or 3, H, W), float in [0, 1]."""

    def normalize(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to the encoder's range: (x - mean) / std."""
        return images.sub(self.mean).div_(self.std)  # one pass of memory less than (x - mean) / std

    @torch.no_grad()
    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) and their mean (B, D) of the exported encoder, for images (B, C, ...) in [0, 1]."""
        tokens, mean = self.encoder.embed(self.normalize(images))
        return tokens, mean
