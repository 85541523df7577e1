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
from torch import Tensor, nn

from monai_lamps.engines import Cosine, Curriculum, Progress
from monai_lamps.engines.schedules import Schedule
from monai_lamps.losses import (
    CompositionLoss,
    ContextLoss,
    DecompositionLoss,
    PatchOrderLoss,
    TokenConsistencyLoss,
    order_accuracy,
    order_near_accuracy,
)
from monai_lamps.methods.lamps.crops import LampsCrops
from monai_lamps.methods.lamps.cross_view import CrossView
from monai_lamps.methods.lamps.curriculum import CROSS_VIEW_OBJECTIVES, OBJECTIVES, lamps_curriculum
from monai_lamps.methods.lamps.geometry import LampsGeometry
from monai_lamps.methods.lamps.network import CrossViewHeads, LampsNetwork
from monai_lamps.methods.lamps.pictures import lamps_pictures
from monai_lamps.methods.method import Method
from monai_lamps.networks import Composer, ContextDecoder, Decomposer, EMATeacher, Encoder, OrderHead, fill_context
from monai_lamps.transforms import PhotometricAugment

__all__ = ["Lamps"]


class Lamps(Method):
    """Lamps: learning anatomy from consistency, coherence and hierarchy (arXiv 2512.22872).

    A student encoder learns from an EMA teacher through three objectives:

    - *coherence*: extrapolate the teacher's tokens of the hidden cells from a visible context window;
    - *order and consistency*: tell where every cell of a shuffled view belongs, and keep its embedding;
    - *hierarchy*: compose the whole from its quadrants, decompose the whole into them.

    The published curriculum activates one of them per epoch. A fourth (consistency of overlapping cells and of the
    whole across the two views) exists in the released code, switched off; it is on when the curriculum names it.

    Where the released code deviates from the paper's text we follow the paper (consistency targets are gathered per
    sample; pass ``ReleasedTokenConsistencyLoss`` for bit parity). The visible context is encoded as a crop, which
    equals the released masked forward exactly. Heads of objectives that the curriculum never names are not built.

    Args:
        encoder: the student's encoder; its stride has to be ``geometry.cell``. The teacher is a copy of it.
        geometry: sizes in cells; the published ones with the encoder's stride by default.
        curriculum: objectives and weights over time; per epoch, as published, by default.
        momentum: schedule of the teacher's momentum; published: cosine from 0.996 to 1.
        decoder_depth, decoder_heads: blocks and attention heads of the context decoder (8 and 16 as published).
        context_loss, order_loss, consistency_loss, composition_loss, decomposition_loss: the losses of the terms.
        augment: photometric and elastic augmentation of the student's views and of the quadrants, on images in [0, 1].
        prototypes: outputs of the fourth objective's self-distillation head.
        mean, std: normalisation of images in [0, 1] (published 0.5056 and 0.252).

    Raises:
        ValueError: when the encoder's stride is not the cell, or the curriculum names an unknown objective.
    """

    name = "lamps"

    def __init__(
        self,
        encoder: Encoder,
        geometry: LampsGeometry | None = None,
        curriculum: Curriculum | None = None,
        momentum: Schedule | None = None,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        context_loss: nn.Module | None = None,
        order_loss: nn.Module | None = None,
        consistency_loss: nn.Module | None = None,
        composition_loss: nn.Module | None = None,
        decomposition_loss: nn.Module | None = None,
        augment: nn.Module | None = None,
        prototypes: int = 65536,
        mean: float = 0.5056,
        std: float = 0.252,
    ) -> None:
        super().__init__()
        g = geometry or LampsGeometry(encoder.cell, spatial_dims=encoder.spatial_dims)
        if encoder.cell != g.cell:
            raise ValueError(f"the encoder's stride is {encoder.cell} px but the geometry's cell is {g.cell} px.")
        self.geometry, self.mean, self.std = g, mean, std
        self.curriculum = curriculum or lamps_curriculum()
        self._check_objectives()
        self.momentum: Schedule = momentum or Cosine(0.996, 1.0)

        dim = encoder.embed_dim
        active = set(self.curriculum.objectives)
        cross_view = bool(active & set(CROSS_VIEW_OBJECTIVES))
        self.student = LampsNetwork(encoder, CrossViewHeads(dim, prototypes) if cross_view else None)
        if "extrapolation" in active:
            self.decoder = ContextDecoder(dim, g.view, decoder_depth, decoder_heads, spatial_dims=g.spatial_dims)
        if "order" in active:
            self.order_head = OrderHead(dim, g.tokens)
        if "composition" in active:
            self.composer = Composer(dim, g.spatial_dims)
        if "decomposition" in active:
            self.decomposer = Decomposer(dim, g.spatial_dims)
        self.teacher = EMATeacher(self.student)

        self.context_loss = context_loss or ContextLoss()
        self.order_loss = order_loss or PatchOrderLoss()
        self.consistency_loss = consistency_loss or TokenConsistencyLoss()
        self.composition_loss = composition_loss or CompositionLoss()
        self.decomposition_loss = decomposition_loss or DecompositionLoss()
        self.cross_view = CrossView(g, prototypes) if cross_view else None
        self.augment = augment or PhotometricAugment(g.cell)

    def _check_objectives(self) -> None:
        known = [name for phase in (*OBJECTIVES, CROSS_VIEW_OBJECTIVES) for name in phase]
        unknown = sorted(set(self.curriculum.objectives) - set(known))
        if unknown:
            raise ValueError(f"the curriculum names unknown objectives {unknown}; Lamps knows {known}.")

    @property
    def encoder(self) -> Encoder:
        return self.teacher_network.encoder

    @property
    def teacher_network(self) -> LampsNetwork:
        """The teacher's networks, without gradients."""
        return cast(LampsNetwork, self.teacher.module)

    def forward(self, batch: Mapping[str, Tensor], progress: Progress) -> dict[str, Tensor]:
        """Weighted terms of the objectives that the curriculum has active at this point.

        Args:
            batch: ``image`` (b, C, region_size, ...) float in [0, 1], ``view_offset`` (b, 2, n), ``window_offset``
                (b, 2, n), ``permutation`` (b, N), ``seed`` (b,), as :class:`RandLampsGeometryd` draws them.
            progress: where the run stands.
        """
        weights = self.curriculum.weights(progress)
        if self.cross_view is not None:
            self.cross_view.freeze_prototypes(self.student, progress.epoch < 1)
        terms = self._terms(self.crops(batch), set(weights))
        return {name: weight * terms[name] for name, weight in weights.items()}

    def crops(self, batch: Mapping[str, Tensor]) -> LampsCrops:
        """The crops of a batch, which are made when they are first asked for."""
        return LampsCrops(batch, self.geometry, self.student.encoder, self.encoder, self.normalize, self.augment)

    def _terms(self, crops: LampsCrops, active: set[str]) -> dict[str, Tensor]:
        """Unweighted terms of the active objectives; they are also kept, detached, in ``latest``."""
        self.latest = {}
        terms: dict[str, Tensor] = {}
        if "extrapolation" in active:
            terms["extrapolation"] = self.extrapolation(crops)
        if active & {"order", "consistency"}:
            terms.update(self.shuffle(crops, active))
        if active & {"composition", "decomposition"}:
            terms.update(self.hierarchy(crops, active))
        if self.cross_view is not None and active & set(CROSS_VIEW_OBJECTIVES):
            terms.update(self.cross_view(self.student, self.teacher_network, crops))
        self.latest.update({name: value.detach() for name, value in terms.items()})
        return terms

    def extrapolation(self, crops: LampsCrops) -> Tensor:
        """Coherence: L = smooth-L1(decoder(student(context)), teacher(view)) on the hidden cells."""
        visible, _ = self.student.encoder.embed(crops.context)
        predicted = self.decoder(fill_context(visible, ~crops.hidden, self.decoder.mask_token))
        loss: Tensor = self.context_loss(predicted, crops.teacher_tokens, crops.hidden)
        return loss

    def shuffle(self, crops: LampsCrops, active: set[str]) -> dict[str, Tensor]:
        """Order: CE(head(student(shuffled)), permutation). Consistency: MSE(student(shuffled), permuted teacher)."""
        tokens, _ = self.student.encoder.embed(crops.shuffled)
        terms = {}
        if "order" in active:
            logits = self.order_head(tokens)
            terms["order"] = self.order_loss(logits, crops.permutation)
            grid = (self.geometry.view,) * self.geometry.spatial_dims
            self.latest["order_accuracy"] = order_accuracy(logits, crops.permutation)
            self.latest["order_near_accuracy"] = order_near_accuracy(logits, crops.permutation, grid)
        if "consistency" in active:
            terms["consistency"] = self.consistency_loss(tokens, crops.teacher_tokens, crops.permutation)
        return terms

    def hierarchy(self, crops: LampsCrops, active: set[str]) -> dict[str, Tensor]:
        """Composition: composer(student(parts)) = teacher(whole). Decomposition: decomposer(student(whole)) = parts.

        Both in smooth-L1; decomposition is the mean over the parts.
        """
        student, terms = self.student.encoder, {}
        if "composition" in active:
            _, part = student.embed(crops.quadrants)
            composed = self.composer(part.unflatten(0, (-1, self.geometry.parts)))
            terms["composition"] = self.composition_loss(composed, crops.teacher_global)
        if "decomposition" in active:
            _, whole = crops.student_augmented
            terms["decomposition"] = self.decomposition_loss(self.decomposer(whole), crops.teacher_parts)
        return terms

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Teacher update, theta_t = m theta_t + (1 - m) theta_s, and the centre of the self-distillation."""
        self.teacher.update(self.student, self.momentum(progress))
        if self.cross_view is not None:
            self.cross_view.update_center()

    @torch.no_grad()
    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted terms of every objective in the curriculum, and the order accuracy, on a validation batch."""
        self._terms(self.crops(batch), set(self.curriculum.objectives))
        return dict(self.latest)

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Views with their quadrants, what the student sees of the context, and which cells are put back right."""
        return lamps_pictures(self.crops(batch), self.student.encoder, getattr(self, "order_head", None))
