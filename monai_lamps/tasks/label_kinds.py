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

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_lamps.metrics import ClassificationFigures, MultiClassFigures
from monai_lamps.tasks.task import masked_mean

__all__ = ["LabelKind", "MultiClass", "MultiLabel"]


class LabelKind(nn.Module, ABC):
    """What the labels of a classification are: how they are learnt, answered and judged.

    Labels are (B, K) float, one number for each class in [0, 1]; NaN and negative numbers are unknown.

    Attributes:
        term: name of the loss term.
    """

    term: str

    @abstractmethod
    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The loss, a scalar; what is unknown is left out. Both arguments (B, K)."""

    @abstractmethod
    def known(self, label: Tensor) -> Tensor:
        """Which labels (B, K) say something, (B, K) bool."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (B, K) to probabilities (B, K)."""

    @abstractmethod
    def figures(self, classes: Sequence[str]) -> ClassificationFigures:
        """What a classification with such labels is judged by."""


class MultiLabel(LabelKind):
    """Classes that are there or not, any number of them: a sigmoid for each, binary cross-entropy.

    The mean goes over the known labels of the batch. A label between 0 and 1 is a probability (CheXpert's uncertain
    labels as U-ones with smoothing: 0.55 to 0.85).

    Args:
        loss: from logits and labels (B, K) to values (B, K); binary cross-entropy by default. Any loss of torch or
            MONAI built with ``reduction="none"`` fits.
    """

    term = "bce"

    def __init__(self, loss: nn.Module | None = None) -> None:
        super().__init__()
        self.loss = loss or nn.BCEWithLogitsLoss(reduction="none")

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean loss of the known labels, 0 where none is.

        Args:
            logits: (B, K).
            label: (B, K), NaN or negative where unknown.

        Raises:
            ValueError: when the loss reduces by itself.
        """
        known = self.known(label)
        values: Tensor = self.loss(logits, torch.where(known, label, 0.0))
        if values.shape != logits.shape:
            raise ValueError(
                f"the loss gives {tuple(values.shape)}, expected {tuple(logits.shape)} so that unknown labels can be "
                "left out; build it with reduction='none'."
            )
        return masked_mean(values, known)

    def known(self, label: Tensor) -> Tensor:
        """Each label for itself."""
        return label >= 0

    def probabilities(self, logits: Tensor) -> Tensor:
        """Each class for itself."""
        return logits.sigmoid()

    def figures(self, classes: Sequence[str]) -> ClassificationFigures:
        """AUROC, average precision and calibration of each class."""
        return ClassificationFigures(classes)


class MultiClass(LabelKind):
    """Classes of which each image has exactly one: a softmax, cross-entropy.

    An image with an unknown label is left out as a whole. That each has exactly one class is checked where the task is
    judged (:class:`~monai_lamps.metrics.MultiClassFigures`), for a look at the labels in every step would make a GPU
    wait.

    Args:
        loss: from logits (B, K) and class probabilities (B, K) to values (B,); cross-entropy by default, e.g.
            ``nn.CrossEntropyLoss(reduction="none", label_smoothing=0.1)``.
    """

    term = "ce"

    def __init__(self, loss: nn.Module | None = None) -> None:
        super().__init__()
        self.loss = loss or nn.CrossEntropyLoss(reduction="none")

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean loss of the images with known labels, 0 where there are none.

        Args:
            logits: (B, K).
            label: (B, K), 1 for the class and 0 for the others, NaN or negative where unknown.

        Raises:
            ValueError: when the loss reduces by itself.
        """
        known = self.known(label)[:, 0]
        values: Tensor = self.loss(logits, torch.where(known[:, None], label, 0.0))
        if values.shape != known.shape:
            raise ValueError(
                f"the loss gives {tuple(values.shape)}, expected {tuple(known.shape)} so that images with unknown "
                "labels can be left out; build it with reduction='none'."
            )
        return masked_mean(values, known)

    def known(self, label: Tensor) -> Tensor:
        """All labels of an image, or none."""
        return (label >= 0).all(dim=1, keepdim=True).expand_as(label)

    def probabilities(self, logits: Tensor) -> Tensor:
        """All classes together are 1."""
        return logits.softmax(dim=1)

    def figures(self, classes: Sequence[str]) -> ClassificationFigures:
        """Accuracy besides what is judged of each class against the others."""
        return MultiClassFigures(classes)
