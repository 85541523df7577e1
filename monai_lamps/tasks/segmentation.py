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

from collections.abc import Mapping, Sequence

import torch
from monai.losses import DiceLoss
from torch import Tensor, nn

from monai_lamps.metrics import Row, SegmentationFigures
from monai_lamps.tasks.overlay import best_median_worst, captioned, overlay, row_of
from monai_lamps.tasks.task import Look, Task, masked_mean

__all__ = ["Segmentation"]


class Segmentation(Task):
    """Segmentation of structures that may overlap: one mask and one sigmoid for each.

    The loss is Dice + binary cross-entropy, as the Lamps family fine-tunes, each the mean over the annotated (image,
    structure) pairs of the batch; what is not annotated gives no gradient. A batch is ``image``
    (B, 1, H, W) float in [0, 1], ``label`` (B, K, H, W) of 0 and 1, and maybe ``annotated`` (B, K) bool, all by
    default; what :class:`~monai_lamps.transforms.LoadStructuresd` gives, collated. 3-D works likewise.

    Where a mask is empty, MONAI's Dice term is 1 for any prediction but a very small one and hardly has a gradient; the
    cross-entropy teaches it.

    Args:
        network: from normalised images to logits (B, K, H, W), see ``build_segmenter``.
        structures: names of the K masks.
        mean, std: normalisation of images in [0, 1].
        losses: loss terms by name, called with logits and masks; built with ``reduction="none"`` so that they give
            (B, K, ...). By default MONAI's DiceLoss, and binary cross-entropy.
        weights: factor of each loss term by name.
        figures: what the task is judged by; by default :class:`SegmentationFigures` of the structures.

    Raises:
        TypeError: when the network has no encoder.
        ValueError: when a weight has no loss, or the figures are of other structures.
    """

    name = "segmentation"
    figures: SegmentationFigures

    def __init__(
        self,
        network: nn.Module,
        structures: Sequence[str],
        mean: float = 0.5056,
        std: float = 0.252,
        losses: Mapping[str, nn.Module] | None = None,
        weights: Mapping[str, float] | None = None,
        figures: SegmentationFigures | None = None,
    ) -> None:
        super().__init__(network, figures or SegmentationFigures(structures), mean, std, weights)
        default = {"dice": DiceLoss(sigmoid=True, reduction="none"), "bce": nn.BCEWithLogitsLoss(reduction="none")}
        self.losses = nn.ModuleDict(losses or default)
        if strange := sorted(set(self.weights) - set(self.losses)):
            raise ValueError(f"weights name {strange}, but the losses are {list(self.losses)}; name one of them.")
        if self.figures.names != tuple(structures):
            raise ValueError(f"the figures are of {list(self.figures.names)}, expected {list(structures)}.")
        self.structures = tuple(structures)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits to probabilities, each structure for itself."""
        return logits.sigmoid()

    def terms(self, logits: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted loss terms of a batch.

        Args:
            logits: (B, K, H, W).
            batch: see the class.

        Raises:
            ValueError: when logits and masks differ in shape, or a loss reduces by itself.
        """
        label = batch["label"].to(logits)
        if logits.shape != label.shape or label.shape[1] != len(self.structures):
            raise ValueError(
                f"the network gives {tuple(logits.shape)}, the masks are {tuple(label.shape)}; both must be (B, "
                f"{len(self.structures)}, H, W) for the structures {list(self.structures)}."
            )
        told = batch.get("annotated")
        told = torch.ones(label.shape[:2], dtype=torch.bool, device=label.device) if told is None else told
        terms = {}
        for name, loss in self.losses.items():
            values: Tensor = loss(logits, label)
            if values.shape[:2] != label.shape[:2]:
                raise ValueError(
                    f"the loss '{name}' gives {tuple(values.shape)}, expected (B, K, ...) so that structures without "
                    "annotation can be left out; build it with reduction='none'."
                )
            terms[name] = masked_mean(values.flatten(2).mean(2), told)
        return terms

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``overlay``: the first four images of a batch, true outlines green, predicted ones red, both yellow."""
        images = batch["image"][:4]
        found = self._masks(images).any(1)
        true = (batch["label"][:4] > 0.5).any(1)
        return {"overlay": row_of([overlay(*case) for case in zip(images, true, found)])}

    @torch.no_grad()
    def case_pictures(self, rows: Sequence[Row], look: Look) -> dict[str, Tensor]:
        """``overlay/<structure>``: the best, the median and the worst case by the first overlap (Dice).

        True outlines are green, predicted ones red, both yellow. A structure that is there in no case has no picture.
        """
        figure = next(iter(self.figures.overlaps), None)
        pictures = {}
        for channel, name in enumerate(self.structures if figure else ()):
            chosen = best_median_worst([row[f"{figure}/{name}"] for row in rows])
            if not chosen:
                continue
            batch = look(list(chosen.values()))
            found, true = self._masks(batch["image"])[:, channel], batch["label"][:, channel] > 0.5
            cases = zip(chosen.items(), batch["image"], true, found)
            pictures[f"overlay/{name}"] = row_of(
                [
                    captioned(overlay(image, mine, other), f"{rank}: {figure} {rows[case][f'{figure}/{name}']:.3f}")
                    for (rank, case), image, mine, other in cases
                ]
            )
        return pictures

    def _masks(self, images: Tensor) -> Tensor:
        return self.figures.masks(self.predict(images))
