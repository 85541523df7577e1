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
"""Adam-v2 ("Representing Part-Whole Hierarchies in Foundation Models by Learning Localizability, Composability, and
Decomposability from Anatomy via Self-Supervision", CVPR 2024) as a Method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monai_lamps.engines import Cosine, Curriculum, Progress
from monai_lamps.engines.schedules import Schedule
from monai_lamps.losses import DINOLoss, UnitCompositionLoss, UnitDecompositionLoss
from monai_lamps.methods.adam import view_picture
from monai_lamps.methods.adam_v2.augment import AdamV2Augment
from monai_lamps.methods.adam_v2.crops import AdamV2Crops
from monai_lamps.methods.adam_v2.curriculum import OBJECTIVES, adam_v2_curriculum
from monai_lamps.methods.adam_v2.heads import PartComposer, PartDecomposer
from monai_lamps.methods.adam_v2.network import AdamV2Network
from monai_lamps.methods.method import Method
from monai_lamps.networks import EMATeacher, Encoder

__all__ = ["AdamV2"]


class AdamV2(Method):
    """Adam-v2: part-whole hierarchies of anatomy (Hosseinzadeh Taher, Gotway and Liang, CVPR 2024).

    A student encoder learns from an EMA teacher through three objectives, the first of them alone in the warm-up:

    - *localizability*: small views of a region find its prototypes (DINO, arXiv 2104.14294);
    - *composability*: the student's parts of a region, composed, are the teacher's region;
    - *decomposability*: the student's region, decomposed, is the teacher's parts.

    What is exported is the teacher's encoder, as released (ResNet-50 or ConvNeXt-B).

    Deviations from the released code: decomposed parts are normalised each (pass ``ReleasedUnitDecompositionLoss`` for
    parity); the centre of the prototypes moves after the optimizer step and not in the forward pass, so that validation
    leaves no trace; embeddings are the mean of normalised tokens, as everywhere in this package; prototypes are held in
    the first epoch of the run only, there in the first of each of its two runs. Heads of objectives that the curriculum
    never names are not built.

    Args:
        encoder: the student's encoder. The teacher is a copy of it.
        curriculum: objectives, weights and granularities, by epochs; as published by default.
        momentum: schedule of the teacher's momentum; published: cosine from 0.996 to 1.
        prototypes: outputs of the localizability head, published 65536.
        hidden, bottleneck: its widths, published 2048 and 256.
        composer: (B, P, D) to (B, D); :class:`PartComposer` by default.
        decomposer: (B, D) to (B, P, D); :class:`PartDecomposer` by default.
        localizability_loss: by default :class:`~monai_lamps.losses.DINOLoss` with the published temperatures 0.1 and
            0.04 and centre momentum 0.9.
        composition_loss, decomposition_loss: the losses of the other terms.
        augment: (images in [0, 1], keys, role, joint) to augmented images.
        mean, std: normalisation of images in [0, 1] (released: that of ImageNet on three equal channels).

    Raises:
        ValueError: when the curriculum names an unknown objective or does not count epochs, or a phase lacks a setting.
    """

    name = "adam_v2"

    def __init__(
        self,
        encoder: Encoder,
        curriculum: Curriculum | None = None,
        momentum: Schedule | None = None,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        composer: nn.Module | None = None,
        decomposer: nn.Module | None = None,
        localizability_loss: DINOLoss | None = None,
        composition_loss: nn.Module | None = None,
        decomposition_loss: nn.Module | None = None,
        augment: nn.Module | None = None,
        mean: float = 0.5056,
        std: float = 0.252,
    ) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.curriculum = curriculum or adam_v2_curriculum()
        self._check_curriculum()
        self.momentum: Schedule = momentum or Cosine(0.996, 1.0)
        self.student = AdamV2Network(encoder, prototypes, hidden, bottleneck)
        dim, parts = encoder.embed_dim, 2**encoder.spatial_dims
        if "composability" in self.curriculum.objectives:
            self.composer = composer or PartComposer(dim, parts)
        if "decomposability" in self.curriculum.objectives:
            self.decomposer = decomposer or PartDecomposer(dim, parts)
        self.teacher = EMATeacher(self.student)
        self.localizability_loss = localizability_loss or DINOLoss(prototypes)
        self.composition_loss = composition_loss or UnitCompositionLoss()
        self.decomposition_loss = decomposition_loss or UnitDecompositionLoss()
        self.augment = augment or AdamV2Augment(7 * encoder.cell)
        self._teacher_logits: Tensor | None = None

    def _check_curriculum(self) -> None:
        unknown = sorted(set(self.curriculum.objectives) - set(OBJECTIVES))
        if unknown or self.curriculum.unit != "epoch":
            raise ValueError(
                f"the curriculum has the objectives {list(self.curriculum.objectives)} by {self.curriculum.unit}, "
                f"expected some of {list(OBJECTIVES)}, by epoch; make it with adam_v2_curriculum()."
            )
        for phase in self.curriculum.phases:
            if not {"granularity", "joint"} <= set(phase.settings):
                raise ValueError(
                    f"a phase has the settings {dict(phase.settings)}, expected granularity and joint among them; make "
                    "the curriculum with adam_v2_curriculum()."
                )

    @property
    def encoder(self) -> Encoder:
        """The teacher's encoder, as released."""
        return self.teacher_network.encoder

    @property
    def teacher_network(self) -> AdamV2Network:
        """The teacher's network, without gradients."""
        return cast(AdamV2Network, self.teacher.module)

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """Weighted terms of the objectives that the curriculum has active at this point.

        Args:
            batch: ``globals`` (b, 1 or 2, C, size, ...), ``locals`` (b, V, C, local_size, ...), in joint training
                ``whole`` (b, C, size, ...) and ``parts`` (b, P, C, size, ...), float in [0, 1]; ``seed`` (b,), as
                :class:`RandAdamV2Viewsd` draws them.
            progress: where the run stands.

        Raises:
            ValueError: when an active objective needs a whole and its parts, and the batch has none.
        """
        weights = self.curriculum.weights(progress)
        prototypes = self.student.head.last_layer.parametrizations.weight.original1
        prototypes.requires_grad_(progress.epoch >= 1)  # DINO's freeze_last_layer, as released
        terms = self._terms(self.crops(batch), set(weights))
        return {name: weight * terms[name] for name, weight in weights.items()}

    def crops(self, batch: Mapping[str, Tensor]) -> AdamV2Crops:
        """The views of a batch, which are augmented and embedded when they are first asked for."""
        return AdamV2Crops(batch, self.student, self.teacher_network, self.normalize, self.augment)

    def _terms(self, crops: AdamV2Crops, active: set[str]) -> dict[str, Tensor]:
        """Unweighted terms of the active objectives; they are also kept, detached, in ``latest``."""
        if active - {"localizability"} and not crops.joint:
            raise ValueError(
                f"the objectives {sorted(active)} need whole and parts, but the batch has {sorted(crops.batch)}; give "
                "the sample transform the curriculum of the method."
            )
        self.latest = {}
        terms: dict[str, Tensor] = {}
        if "localizability" in active:
            terms["localizability"] = self.localizability(crops)
        if "composability" in active:
            terms["composability"] = self.composability(crops)
        if "decomposability" in active:
            terms["decomposability"] = self.decomposability(crops)
        self.latest.update({name: value.detach() for name, value in terms.items()})
        return terms

    def localizability(self, crops: AdamV2Crops) -> Tensor:
        """Cross-entropy of the student's views against the teacher's whole (warm-up: its global views)."""
        student, teacher = crops.student_logits, crops.teacher_logits
        if self.training:  # validation leaves no trace in the centre
            self._teacher_logits = teacher.flatten(0, 1)
        # in joint training the student sees no whole, and each of its views meets it
        loss: Tensor = self.localizability_loss(student, teacher, shared=0 if crops.joint else None)
        return loss

    def composability(self, crops: AdamV2Crops) -> Tensor:
        """L = MSE of unit vectors, composer(student(parts)) and teacher(whole)."""
        composed = self.composer(crops.student_parts)
        self.latest["composition_cosine"] = F.cosine_similarity(composed.detach(), crops.teacher_whole).mean()
        loss: Tensor = self.composition_loss(composed, crops.teacher_whole)
        return loss

    def decomposability(self, crops: AdamV2Crops) -> Tensor:
        """L = MSE of unit vectors, decomposer(student(whole)) and teacher(parts), mean over the parts."""
        decomposed = self.decomposer(crops.student_whole)
        cosine = F.cosine_similarity(decomposed.detach()[:, :, None], crops.teacher_parts[:, None], dim=-1)  # (B, P, P)
        own = torch.arange(cosine.shape[1], device=cosine.device)
        self.latest["decomposition_cosine"] = cosine.diagonal(dim1=1, dim2=2).mean()
        self.latest["part_accuracy"] = (cosine.argmax(dim=2) == own).float().mean()  # chance 1 / P
        loss: Tensor = self.decomposition_loss(decomposed, crops.teacher_parts)
        return loss

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Teacher update, theta_t = m theta_t + (1 - m) theta_s, and the centre of the prototypes."""
        self.teacher.update(self.student, self.momentum(progress))
        if self._teacher_logits is not None:
            self.localizability_loss.update_center(self._teacher_logits)
            self._teacher_logits = None

    @torch.no_grad()
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted terms of every objective in the curriculum that the batch has views for, with their figures."""
        crops, objectives = self.crops(batch), set(self.curriculum.objectives)
        self._terms(crops, objectives if crops.joint else objectives & {"localizability"})
        return dict(self.latest)

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Wholes above global views; local views and parts of the first and of the last sample."""
        crops = self.crops(batch)
        first = crops.whole[:, None] if crops.joint else crops.globals[:, :1]
        pictures = {"views": view_picture(torch.cat([first, crops.globals[:, -1:]], dim=1))}
        for name, views in {"locals": crops.locals, **({"parts": crops.parts} if crops.joint else {})}.items():
            pictures[name] = view_picture(views[[0, -1]].transpose(0, 1), samples=views.shape[1])
        return {name: picture.clamp(0, 1).cpu() for name, picture in pictures.items()}
