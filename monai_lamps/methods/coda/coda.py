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
"""Coda ("Learning Foundation Models from Multi-Organ Medical Images by Capturing Consistency and Diversity of
Anatomical Structures", MICCAI 2025) as a Method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from monai_lamps.engines import Cosine, Curriculum, Linear, Progress
from monai_lamps.engines.schedules import Schedule
from monai_lamps.losses import DINOLoss, SupervisedContrastiveLoss
from monai_lamps.methods.adam import view_picture
from monai_lamps.methods.coda.augment import CodaAugment
from monai_lamps.methods.coda.curriculum import OBJECTIVES, coda_curriculum
from monai_lamps.methods.coda.figures import organ_accuracy, organ_chance, prototype_figures
from monai_lamps.methods.coda.network import CodaNetwork
from monai_lamps.methods.coda.views import CodaViews
from monai_lamps.methods.method import Method
from monai_lamps.metrics.anatomy import embedding_picture
from monai_lamps.networks import EMATeacher, Encoder, gather_ranks

__all__ = ["Coda"]


class Coda(Method):
    """Coda: what organs have in common and what tells them apart (Hosseinzadeh Taher, Hong, Soni and Avinash, MICCAI
    2025).

    A student encoder learns from an EMA teacher through two branches, ``L = L_inter + L_intra``:

    - *inter-organ*: radiographs of one organ are brought together, those of others held apart (supervised contrast,
      eq. 1): the student's view of each is compared with the teacher's views of the whole batch, of all processes;
    - *intra-organ*: small views of a radiograph find the prototypes of the whole of it (DINO, eq. 2), by which images
      of one organ stay apart.

    So it needs the organ of each image, and nothing else that a person would have to label. Samples of an unknown organ
    take part in the intra-organ branch only. What is exported is the teacher's encoder.

    There is no released code. Where the paper is silent or in doubt: the contrast has all keys in its denominator
    (Khosla et al. 2020, to which the paper refers); printed are the negatives alone, for which the loss can fall below
    0: pass ``SupervisedContrastiveLoss(denominator=negatives_denominator)``. It is taken on the 256 normalised outputs
    of the head, at a temperature of 0.1. Self-distillation is DINO's: temperatures 0.1 and 0.04 to 0.07, centre 0.9,
    momentum 0.996 to 1, prototypes held in the first epoch. Heads of objectives with weight 0 are not built.

    Args:
        encoder: the student's encoder (published: ConvNeXt-B). The teacher is a copy of it.
        curriculum: the weights of both objectives; published 1.
        momentum: schedule of the teacher's momentum.
        teacher_temperature: schedule of the teacher's temperature in the intra-organ branch.
        prototypes: outputs of the instance head, published 65536.
        hidden, bottleneck: widths of both heads, published 2048; 256 is DINO's.
        inter_loss: (anchors, labels, keys, key labels) to a scalar.
        intra_loss: its teacher temperature is set at every step.
        augment: (images in [0, 1], keys, role) to augmented images.
        organs: what the organ numbers are called, for pictures.
        mean, std: normalisation of images in [0, 1].

    Raises:
        ValueError: when the curriculum names an unknown objective.
    """

    name = "coda"

    def __init__(
        self,
        encoder: Encoder,
        curriculum: Curriculum | None = None,
        momentum: Schedule | None = None,
        teacher_temperature: Schedule | None = None,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        inter_loss: nn.Module | None = None,
        intra_loss: DINOLoss | None = None,
        augment: nn.Module | None = None,
        organs: Sequence[str] = (),
        mean: float = 0.5056,
        std: float = 0.252,
    ) -> None:
        super().__init__()
        self.mean, self.std, self.organs = mean, std, tuple(organs)
        self.curriculum = curriculum or coda_curriculum()
        objectives = self.curriculum.objectives
        unknown = sorted(set(objectives) - set(OBJECTIVES))
        if unknown:
            raise ValueError(f"the curriculum names unknown objectives {unknown}; Coda knows {list(OBJECTIVES)}.")
        self.momentum: Schedule = momentum or Cosine(0.996, 1.0)
        self.teacher_temperature: Schedule = teacher_temperature or Linear(0.04, 0.07, end_epoch=30)
        self.student = CodaNetwork(encoder, objectives, prototypes, hidden, bottleneck)
        self.teacher = EMATeacher(self.student)
        if "inter" in objectives:
            self.inter_loss = inter_loss or SupervisedContrastiveLoss()
        if "intra" in objectives:
            self.intra_loss = intra_loss or DINOLoss(prototypes)
        self.augment = augment or CodaAugment(7 * encoder.cell)
        self._teacher_logits: Tensor | None = None

    @property
    def encoder(self) -> Encoder:
        """The teacher's encoder, which the paper transfers."""
        return self.teacher_network.encoder

    @property
    def teacher_network(self) -> CodaNetwork:
        """The teacher's network, without gradients."""
        return cast(CodaNetwork, self.teacher.module)

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """``L = L_inter + L_intra``, each with its weight.

        Args:
            batch: ``wholes`` (b, 1 or 2, C, size, ...) and, for the intra-organ branch, ``locals`` (b, V, C,
                local_size, ...), float in [0, 1], as :class:`RandCodaViewsd` draws them; ``organ_index`` (b,) int64,
                below 0 where the organ is unknown; ``index`` (b,) int64, which image each sample is; ``seed`` (b,).
            progress: where the run stands.

        Raises:
            ValueError: when the inter-organ branch is active and the batch has one whole only.
        """
        weights = self.curriculum.weights(progress)
        self.student.freeze_prototypes(progress.epoch < 1)
        self._set_temperature(progress)
        terms = self._terms(self.views(batch), set(weights), gather_ranks)
        return {name: weight * terms[name] for name, weight in weights.items()}

    def views(self, batch: Mapping[str, Tensor]) -> CodaViews:
        """The views of a batch, which are augmented and embedded when they are first asked for."""
        return CodaViews(batch, self.student, self.teacher_network, self.normalize, self.augment)

    def _set_temperature(self, progress: Progress) -> None:
        if hasattr(self, "intra_loss"):
            self.intra_loss.teacher_temperature = self.teacher_temperature(progress)

    def _terms(self, views: CodaViews, active: set[str], gather: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Unweighted terms of the active objectives; they are also kept, detached, in ``latest``."""
        self.latest = {}
        terms: dict[str, Tensor] = {}
        if "inter" in active:
            terms["inter"] = self.inter(views, gather)
        if "intra" in active:
            terms["intra"] = self.intra(views)
        self.latest.update({name: value.detach() for name, value in terms.items()})
        return terms

    def inter(self, views: CodaViews, gather: Callable[[Tensor], Tensor]) -> Tensor:
        """Eq. 1: the student's code of each image against the teacher's codes of all, positive where the organ is the
        same.

        Args:
            views: of this process.
            gather: joins the keys of all processes, (b, ...) to (B, ...).

        Raises:
            ValueError: when there is one whole only.
        """
        if views.batch["wholes"].shape[1] < 2:
            raise ValueError(
                "the inter-organ branch needs two wholes of each image, but the batch has one; give the sample "
                "transform the curriculum of the method."
            )
        images, keys = views.batch["index"], gather(views.teacher_code)
        key_organs, key_images = gather(views.organ), gather(images)
        loss: Tensor = self.inter_loss(views.student_code, views.organ, keys, key_organs)
        among = (key_organs, key_images)
        self.latest["organ_accuracy"] = organ_accuracy(views.student_code, views.organ, images, keys, *among)
        self.latest["organ_chance"] = organ_chance(views.organ, images, *among)
        return loss

    def intra(self, views: CodaViews) -> Tensor:
        """Eq. 2: cross-entropy of the student's local views against the teacher's whole, mean over the views."""
        student, teacher = views.student_logits, views.teacher_logits
        if self.training:  # validation leaves no trace in the centre
            self._teacher_logits = teacher[0]
        loss: Tensor = self.intra_loss(student, teacher, shared=0)
        self.latest |= prototype_figures(teacher, self.intra_loss.center, self.intra_loss.teacher_temperature)
        return loss

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Teacher update, theta_t = m theta_t + (1 - m) theta_s, and the centre of the prototypes."""
        self.teacher.update(self.student, self.momentum(progress))
        if self._teacher_logits is not None:
            self.intra_loss.update_center(self._teacher_logits)
            self._teacher_logits = None

    @torch.no_grad()
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted terms of both objectives, so far as they are trained, with their figures; keys are the batch's.

        ``organ_retrieval`` is :func:`organ_accuracy` of the exported encoder's embeddings, to be read beside
        ``organ_chance``, also where nothing is contrasted.
        """
        views = self.views(batch)
        self._terms(views, set(self.curriculum.objectives), torch.Tensor.detach)
        which = (views.organ, batch["index"])
        retrieval = organ_accuracy(views.teacher_embedding, *which, views.teacher_embedding, *which)
        return {**self.latest, "organ_retrieval": retrieval, "organ_chance": organ_chance(*which, *which)}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Wholes as student and teacher see them, local views of the first and of the last sample, and a map of organs:
        the exported encoder's embeddings of the wholes in the plane of their greatest variance.
        """
        views, pictures = self.views(batch), {}
        wholes = [views.teacher_whole] if batch["wholes"].shape[1] < 2 else [views.student_whole, views.teacher_whole]
        pictures["views"] = view_picture(torch.stack(wholes, dim=1))
        if "locals" in batch:
            ends = views.locals[[0, -1]].transpose(0, 1)
            pictures["locals"] = view_picture(ends, samples=len(ends))
        if len(views.organ) > 1:
            pictures["organs"] = self._organ_map(batch)
        return {name: picture.clamp(0, 1).cpu() for name, picture in pictures.items()}

    def _organ_map(self, batch: Mapping[str, Tensor]) -> Tensor:
        embeddings = torch.cat([self.embed(some)[1] for some in batch["wholes"][:, -1].split(16)])
        organs = batch["organ_index"].cpu()
        count = max(int(organs.max()) + 1, len(self.organs))
        names = [self.organs[number] if number < len(self.organs) else f"organ {number}" for number in range(count)]
        if bool((organs < 0).any()):
            names.append("unknown")
        return embedding_picture(embeddings.float().cpu(), organs.where(organs >= 0, count), names)
