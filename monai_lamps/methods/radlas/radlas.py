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

from collections.abc import Mapping
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from monai_lamps.engines import Cosine, Curriculum, Progress
from monai_lamps.engines.schedules import Schedule
from monai_lamps.losses import (
    ContextConsistencyLoss,
    LesionDiscriminationLoss,
    RestorationLoss,
    discrimination_figures,
)
from monai_lamps.methods.method import Method
from monai_lamps.methods.radlas.curriculum import OBJECTIVES, radlas_curriculum
from monai_lamps.methods.radlas.figures import restoration_figures
from monai_lamps.methods.radlas.network import RadLASNetwork
from monai_lamps.methods.radlas.pictures import evidence_picture
from monai_lamps.methods.radlas.views import RadLASViews, radlas_views
from monai_lamps.networks import (
    EMATeacher,
    Encoder,
    EvidenceNetwork,
    cell_means,
    contrast_percentile,
    gather_clue,
    gather_ranks,
)
from monai_lamps.transforms import PhotometricAugment, keyed_uniform

__all__ = ["RadLAS"]

_HIDE = 8 * 64  # stream of random numbers that decides whose lesion cells are hidden; the augmentation takes lower ones
_PACE = 0.05  # how fast the student's scale follows the contrast of a batch


class RadLAS(Method):
    """An independent implementation of the idea of RadLAS ("A Foundation Model for Interpretable Radiography Image
    Analysis with Lesion-Aware Self-Supervised Pre-training", ACM MM 2025). Only its abstract is public; every formula
    is our choice.

    Normal images get synthetic lesions, of which the masks and the healthy counterparts are known:

    - *Task I, lesion-grounded reconstruction*: the decoder restores the healthy image from the student's tokens. In
      half of the images lesion cells are hidden from it (AFiRe, arXiv 2504.10972, hides them always) and painted anew;
      in the others it must recognise lesions itself and take them away, as later, where no mask is known. The contrast
      of input and restored image is the evidence (:class:`~monai_lamps.networks.EvidenceNetwork`).
    - *Task II, lesion-discrimination contrast*: the clue, gathered from the tokens of the evidence, is aligned with the
      whole image in another augmentation, as the teacher sees it, and held apart from other images and from the same
      image without the lesion. The same is asked of the whole image and the teacher's clue, so that both heads learn.
    - *context*: tokens of healthy cells stay what the teacher sees in the healthy image.

    ``L = L_I + alpha L_II + beta L_ctx``. The teacher is exported, as in AFiRe.

    Args:
        network: the student's encoder and decoder. The teacher is a copy of it.
        curriculum: weights over time and whether masks are known; by default 400 epochs, see
            :func:`~monai_lamps.methods.radlas.radlas_curriculum`.
        momentum: schedule of the teacher's momentum; by default a cosine from 0.996 to 1, as AFiRe has it.
        hide_prob: p_m, share of the images whose lesion cells are hidden from the decoder, in [0, 1].
        temperature: of the contrast.
        ssim_weight: of the structural similarity in the restoration's loss.
        hidden, out: widths of the two heads.
        restoration_loss, discrimination_loss, context_loss: the losses of the terms.
        augment: of images in [0, 1] and keys; it must not move anything. By default brightness, contrast and blur.
        mean, std: normalisation of images in [0, 1].

    Raises:
        ValueError: when the curriculum names an unknown objective, a phase does not say how evidence is grounded, or
            ``hide_prob`` is out of range.
    """

    name = "radlas"

    def __init__(
        self,
        network: EvidenceNetwork,
        curriculum: Curriculum | None = None,
        momentum: Schedule | None = None,
        hide_prob: float = 0.5,
        temperature: float = 0.2,
        ssim_weight: float = 0.1,
        hidden: int = 2048,
        out: int = 128,
        restoration_loss: nn.Module | None = None,
        discrimination_loss: nn.Module | None = None,
        context_loss: nn.Module | None = None,
        augment: nn.Module | None = None,
        mean: float = 0.5056,
        std: float = 0.252,
    ) -> None:
        super().__init__()
        if not 0 <= hide_prob <= 1:
            raise ValueError(f"hide_prob must lie in [0, 1], got {hide_prob}.")
        self.mean, self.std, self.hide_prob = mean, std, hide_prob
        self.curriculum = curriculum or radlas_curriculum(400)
        self._check_curriculum()
        self.momentum: Schedule = momentum or Cosine(0.996, 1.0)
        self.student = RadLASNetwork(network, hidden, out)
        self.teacher = EMATeacher(self.student)
        dims, limits = network.encoder.spatial_dims, (-mean / std, (1 - mean) / std)
        self.restoration_loss = restoration_loss or RestorationLoss(1.0, ssim_weight, limits, dims)
        self.discrimination_loss = discrimination_loss or LesionDiscriminationLoss(temperature)
        self.context_loss = context_loss or ContextConsistencyLoss()
        self.augment = augment or PhotometricAugment(network.encoder.cell, elastic_prob=0)
        self._new_scale: Tensor | None = None

    def _check_curriculum(self) -> None:
        if unknown := sorted(set(self.curriculum.objectives) - set(OBJECTIVES)):
            raise ValueError(f"the curriculum names unknown objectives {unknown}; RadLAS knows {list(OBJECTIVES)}.")
        for phase in self.curriculum.phases:
            if phase.settings.get("grounding") not in ("mask", "map"):
                raise ValueError(
                    f"a phase has the settings {dict(phase.settings)}, expected grounding 'mask' or 'map' among them; "
                    "make the curriculum with radlas_curriculum()."
                )

    @property
    def encoder(self) -> Encoder:
        """The teacher's encoder."""
        return self.evidence_network.encoder

    @property
    def evidence_network(self) -> EvidenceNetwork:
        """The teacher's encoder and decoder, which are exported."""
        return self.teacher_network.evidence

    @property
    def teacher_network(self) -> RadLASNetwork:
        """The teacher's networks, without gradients."""
        return cast(RadLASNetwork, self.teacher.module)

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """Weighted terms: ``L_I``, ``alpha L_II`` and ``beta L_ctx``.

        Args:
            batch: ``image`` (lesioned), ``healthy`` (b, C, size, ...) float in [0, 1], ``lesion`` (b, 1, size, ...),
                the soft mask, and ``seed`` (b,).
            progress: where the run stands.
        """
        weights = self.curriculum.weights(progress)
        terms = self._terms(self.views(batch), set(weights), self.curriculum.settings(progress)["grounding"])
        return {name: weight * terms[name] for name, weight in weights.items()}

    def views(self, batch: Mapping[str, Tensor]) -> RadLASViews:
        """The augmented and normalised views of a batch."""
        return radlas_views(batch, self.encoder.cell, self.augment, self.normalize)

    def _terms(self, views: RadLASViews, active: set[str], grounding: str) -> dict[str, Tensor]:
        """Unweighted terms of the active objectives; they are also kept, detached, in ``latest``."""
        self.latest = {}
        terms: dict[str, Tensor] = {}
        tokens, context = self.student.encoder.embed(views.lesioned)
        if "restoration" in active:
            restored = self.student.evidence.decode(tokens, views.lesioned, self._hidden_cells(views))
            terms["restoration"] = self.restoration_loss(restored, views.healthy, views.lesion_cells)
        if active & {"discrimination", "context"}:
            seen, seen_healthy = self._teacher_tokens(views)
        if "discrimination" in active:
            weights = self._weights(views, tokens, grounding)
            terms["discrimination"] = self.discrimination(views, tokens, context, weights, seen, seen_healthy)
        if "context" in active:
            terms["context"] = self.context_loss(tokens, seen_healthy, ~views.lesion_cells)
        self.latest.update({name: value.detach() for name, value in terms.items()})
        return terms

    def discrimination(
        self, views: RadLASViews, tokens: Tensor, context: Tensor, weights: Tensor, seen: Tensor, seen_healthy: Tensor
    ) -> Tensor:
        """Task II: the student's clue finds the teacher's context of its image, and its context the teacher's clue.

        Args:
            views: of the batch.
            tokens, context: the student's, of the lesioned view, (B, N, D) and (B, D).
            weights: of the cells as evidence, (B, N); they hold for both views, which show the same places.
            seen, seen_healthy: the teacher's tokens of the other view with and without lesion, (B, N, D).
        """
        student, teacher = self.student, self.teacher_network
        with torch.no_grad():
            contexts = [teacher.context_head(some.mean(dim=1)) for some in (seen, seen_healthy)]
            clues = [teacher.clue_head(gather_clue(some, weights)) for some in (seen, seen_healthy)]
        queries = (student.clue_head(gather_clue(tokens, weights)), student.context_head(context))
        contrasts = [self._contrast(query, key, hard, views) for query, (key, hard) in zip(queries, (contexts, clues))]
        self.latest.update(discrimination_figures(*contrasts[0]))  # of the clue
        losses: list[Tensor] = [self.discrimination_loss(*contrast) for contrast in contrasts]
        return torch.stack(losses).mean()

    def _contrast(
        self, query: Tensor, key: Tensor, healthy: Tensor, views: RadLASViews
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What the loss takes; in training the keys are those of all processes."""
        own = torch.arange(len(key), device=key.device)
        if self.training and dist.is_available() and dist.is_initialized():
            own, key = own + dist.get_rank() * len(key), gather_ranks(key)
        return query, key, own, healthy, views.has_lesion

    def _hidden_cells(self, views: RadLASViews) -> Tensor | None:
        """Lesion cells of a share of the images, p_m; outside of training none, as no mask is known then."""
        if not self.training:
            return None
        chosen = keyed_uniform(views.key, _HIDE) < self.hide_prob
        return views.lesion_cells & chosen[:, None]

    @torch.no_grad()
    def _teacher_tokens(self, views: RadLASViews) -> tuple[Tensor, Tensor]:
        tokens, _ = self.encoder.embed(torch.cat([views.other_lesioned, views.other_healthy]))
        seen, seen_healthy = tokens.chunk(2)
        return seen, seen_healthy

    @torch.no_grad()
    def _weights(self, views: RadLASViews, tokens: Tensor, grounding: str) -> Tensor:
        """How much every cell counts as evidence (B, N): by the true mask, or by the map, for which none is known."""
        network = self.student.evidence
        restored = network.decode(tokens, views.lesioned)
        contrast = network.contrast(views.lesioned, restored)
        if self.training:
            unknown = (views.mask > 0) | ~contrast.isfinite()
            self._new_scale = contrast_percentile(contrast.masked_fill(unknown, torch.nan))
        if grounding == "mask":
            covered = cell_means(views.mask, self.encoder.cell) + 1e-6  # all alike where there is no lesion
            return covered / covered.sum(dim=1, keepdim=True)
        return network.weights(contrast / (contrast + network.scale), tokens, restored)

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Teacher update, theta_t = m theta_t + (1 - m) theta_s; the scale of the map follows the contrast."""
        if self._new_scale is not None:
            scale = self.student.evidence.scale
            new = torch.lerp(scale, gather_ranks(self._new_scale[None]).nanmean().to(scale), _PACE)
            scale.copy_(torch.where(new.isnan(), scale, new))  # a batch that is not finite leaves no trace
            self._new_scale = None
        self.teacher.update(self.student, self.momentum(progress))

    @torch.no_grad()
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted terms of every objective in the curriculum, with the map's grounding, on a validation batch.

        Further how well the exported network restores, and its map tells lesions: see
        :func:`~monai_lamps.methods.radlas.restoration_figures`.
        """
        self._terms(self.views(batch), set(self.curriculum.objectives), "map")
        found = self.evidence_network.evidence(self.normalize(batch["image"]))
        restored = found.restored.float() * self.std + self.mean
        return {**self.latest, **restoration_figures(batch, restored, found.pixel_map, self.encoder.cell)}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Some samples: lesioned, restored, healthy, the evidence and the true mask, a column each."""
        images = batch["image"][:6]
        found = self.evidence_network.evidence(self.normalize(images))
        restored = found.restored.float() * self.std + self.mean
        rows = (images, restored, batch["healthy"][:6], found.pixel_map, batch["lesion"][:6])
        return {"evidence": evidence_picture(*rows).clamp(0, 1).cpu()}
