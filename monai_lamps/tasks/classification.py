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
from torch import Tensor, nn

from monai_lamps.metrics import ClassificationFigures, Row
from monai_lamps.tasks.curves import draw_curves
from monai_lamps.tasks.label_kinds import LabelKind, MultiLabel
from monai_lamps.tasks.overlay import captioned, row_of
from monai_lamps.tasks.task import Look, Task

__all__ = ["Classification"]


class Classification(Task):
    """Classification of images, multi-label or multi-class.

    A batch is ``image`` (B, 1, H, W) float in [0, 1] and ``label`` (B, K), what
    :class:`~monai_lamps.transforms.LoadLabelsd` gives, collated: NaN or negative where unknown, which is left out.

    Args:
        network: from normalised images to logits (B, K), e.g. :class:`LinearClassifier`.
        classes: names of the K classes.
        labels: what the labels are: :class:`MultiLabel` (default; also for a single class) or :class:`MultiClass`.
        mean, std: normalisation of images in [0, 1].
        figures: what the task is judged by; by default what ``labels`` says.

    Raises:
        TypeError: when the network has no encoder.
        ValueError: when the figures are of other classes.
    """

    name = "classification"
    figures: ClassificationFigures

    def __init__(
        self,
        network: nn.Module,
        classes: Sequence[str],
        labels: LabelKind | None = None,
        mean: float = 0.5056,
        std: float = 0.252,
        figures: ClassificationFigures | None = None,
    ) -> None:
        labels = labels or MultiLabel()
        super().__init__(network, figures or labels.figures(classes), mean, std)
        if self.figures.names != tuple(classes):
            raise ValueError(f"the figures are of {list(self.figures.names)}, expected {list(classes)}.")
        self.classes, self.labels = tuple(classes), labels

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (B, K) to probabilities (B, K)."""
        return self.labels.probabilities(logits)

    def terms(self, logits: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            logits: (B, K).
            batch: see the class.

        Raises:
            ValueError: when logits and labels differ in shape.
        """
        label = batch["label"].to(logits)
        if logits.shape != label.shape or label.shape[1:] != (len(self.classes),):
            raise ValueError(
                f"the network gives {tuple(logits.shape)}, the labels are {tuple(label.shape)}; both must be (B, "
                f"{len(self.classes)}) for the classes {list(self.classes)}."
            )
        return {self.labels.term: self.labels(logits, label)}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``cases``: the first four images with their most probable class, and what it is in truth."""
        images, label = batch["image"][:4], batch["label"][:4]
        sure, best = self.predict(images).max(dim=1)
        cases = []
        for image, probability, channel, truth in zip(images, sure.tolist(), best.tolist(), label.tolist()):
            true = {True: "yes", False: "no"}[truth[channel] >= 0.5] if truth[channel] >= 0 else "unknown"
            plane = image[:1] if image.ndim == 3 else image[:1, image.shape[1] // 2]
            picture = plane.clamp(0, 1).cpu().expand(3, -1, -1)
            cases.append(captioned(picture, f"{self.classes[channel]} {probability:.2f} ({true})"))
        return {"cases": row_of(cases)}

    def case_pictures(self, rows: Sequence[Row], look: Look) -> dict[str, Tensor]:
        """``roc`` and ``reliability``: the curves of all classes, with AUROC and calibration error in their legends."""
        figures = self.figures.summary(rows)
        pictures = {}
        roc = {f"{name}: {figures[f'auroc/{name}']:.3f}": c for name, c in self.figures.roc_curves(rows).items()}
        if roc:
            pictures["roc"] = draw_curves(roc, "false positive rate", "true positive rate", "AUROC")
        found = self.figures.reliability_curves(rows).items()
        if found:
            curves = {f"{name}: {curve.error:.3f}": (curve.confidence, curve.frequency) for name, curve in found}
            pictures["reliability"] = draw_curves(curves, "predicted probability", "share of positives", "ECE")
        return pictures
