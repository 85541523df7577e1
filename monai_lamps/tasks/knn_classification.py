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

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from monai_lamps.metrics import ClassificationFigures
from monai_lamps.tasks.classification import Classification
from monai_lamps.tasks.knn_classifier import KnnClassifier
from monai_lamps.tasks.label_kinds import LabelKind

__all__ = ["KnnClassification"]

_LOGGER = logging.getLogger(__name__)


class KnnClassification(Classification):
    """Classification by the nearest labelled images, with an encoder as it is: nothing is trained, there is no loss.

    :meth:`remember` shows the labelled images; then it predicts and is judged as any :class:`Classification`.

    Args:
        network: the encoder with its memory.
        classes: names of the K classes.
        labels: what the labels are: :class:`~monai_lamps.tasks.MultiLabel` (default) or
            :class:`~monai_lamps.tasks.MultiClass`, where an image with an unknown label does not vote at all.
        mean, std: normalisation of images in [0, 1] that the encoder was pretrained with (in its card).
        figures: what the task is judged by; by default what ``labels`` says.

    Raises:
        ValueError: when the figures are of other classes.
    """

    name = "knn_classification"
    network: KnnClassifier

    def __init__(
        self,
        network: KnnClassifier,
        classes: Sequence[str],
        labels: LabelKind | None = None,
        mean: float = 0.5056,
        std: float = 0.252,
        figures: ClassificationFigures | None = None,
    ) -> None:
        super().__init__(network, classes, labels, mean, std, figures)
        self.eval()

    @torch.no_grad()
    def remember(self, batches: Iterable[Mapping[str, Any]], device: torch.device | str | None = None) -> int:
        """Embed labelled images and keep them in place of earlier ones.

        An image that could not be read is replaced by another one by :class:`~monai_lamps.data.RadiographDataset`; one
        that has been seen is not remembered again. A class that no image shows is answered with less than 0.5 always,
        and a warning says so.

        Args:
            batches: see :class:`Classification`, with ``index`` (B,) where images may be replaced.
            device: where the images must lie.

        Returns:
            the number of images that are remembered.

        Raises:
            ValueError: when there is no image, no label of a class is known, or the network refuses them.
        """
        self.eval()
        embeddings: list[Tensor] = []
        labels: list[Tensor] = []
        seen: set[int] = set()
        for batch in batches:
            new = _new_rows(batch, seen)
            embeddings.append(self.embed(batch["image"].to(device))[1][new].float())
            labels.append(batch["label"][new].float())
        if not labels:
            raise ValueError("there is no labelled image to remember; check the list of training images.")
        label = torch.cat(labels)
        label = torch.where(self.labels.known(label), label, torch.nan)
        self._check(label)
        self.network.remember(torch.cat(embeddings), label)
        return len(label)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The votes (B, K), which are probabilities."""
        return logits

    def terms(self, logits: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """No loss: nothing is trained."""
        return {}

    def _check(self, label: Tensor) -> None:
        known, shown = (label >= 0).any(dim=0).tolist(), (label >= 0.5).any(dim=0).tolist()
        silent = [name for name, is_known in zip(self.classes, known) if not is_known]
        if silent:
            raise ValueError(
                f"none of {len(label)} labelled images has a known label of {', '.join(silent)}; take the class out, "
                "or give more images."
            )
        absent = [name for name, is_shown in zip(self.classes, shown) if not is_shown]
        if absent:
            _LOGGER.warning(
                "none of %d labelled images shows %s: its probability is below 0.5 for every image",
                len(label),
                ", ".join(absent),
            )


def _new_rows(batch: Mapping[str, Any], seen: set[int]) -> list[int]:
    """Rows of a batch whose image was not there before; ``seen`` is extended."""
    start, size = len(seen), len(batch["image"])
    numbers = batch["index"].tolist() if "index" in batch else range(start, start + size)
    rows = []
    for row, number in enumerate(numbers):
        if number not in seen:
            seen.add(number)
            rows.append(row)
    return rows
