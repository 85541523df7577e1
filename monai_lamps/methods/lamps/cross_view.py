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

import torch
from torch import Tensor, nn

from monai_lamps.losses import DINOLoss, OverlapConsistencyLoss
from monai_lamps.methods.lamps.crops import LampsCrops
from monai_lamps.methods.lamps.geometry import LampsGeometry
from monai_lamps.methods.lamps.network import LampsNetwork
from monai_lamps.transforms import overlap_index

__all__ = ["CrossView"]


class CrossView(nn.Module):
    """Lamps' fourth objective: the two views agree as wholes and, cell by cell, where they overlap.

    The released code holds it switched off (it is PEAC's consistency). Globally it is self-distillation across views
    (DINO); locally the mean squared error of projected tokens of the same anatomy, in both directions. The student
    sees the augmented views, the teacher the clean ones. The released overlap index swaps the axes of one offset, so
    that only 85 of 625 offset pairs match; here it is right.

    Args:
        geometry: sizes in cells.
        out_dim: number of prototypes, 65536 as published.
    """

    def __init__(self, geometry: LampsGeometry, out_dim: int = 65536) -> None:
        super().__init__()
        self.geometry = geometry
        self.global_loss = DINOLoss(out_dim)
        self.local_loss = OverlapConsistencyLoss()
        self._teacher_logits: Tensor | None = None

    def forward(self, student: LampsNetwork, teacher: LampsNetwork, crops: LampsCrops) -> dict[str, Tensor]:
        """``global_view``: DINO over both views; ``local_view``: MSE on overlapping cells, mean of both directions.

        Args:
            student, teacher: networks with the heads of this objective.
            crops: crops of a batch.
        """
        tokens, whole = crops.student_augmented
        heads, teacher_heads = student.cross_view, teacher.cross_view
        if heads is None or teacher_heads is None:
            raise ValueError("the cross-view objective needs student and teacher with CrossViewHeads.")
        with torch.no_grad():
            teacher_logits = teacher_heads.whole(crops.teacher_global).unflatten(0, (-1, 2)).transpose(0, 1)
            targets = teacher_heads.part(crops.teacher_tokens).unflatten(0, (-1, 2))
        logits = heads.whole(whole).unflatten(0, (-1, 2)).transpose(0, 1)
        parts = heads.part(tokens).unflatten(0, (-1, 2))
        if self.training:  # validation leaves no trace in the centre
            self._teacher_logits = teacher_logits.flatten(0, 1)
        offset = crops.batch["view_offset"]
        local = [
            self.local_loss(parts[:, a], targets[:, b], overlap_index(offset[:, a], offset[:, b], self.geometry.view))
            for a, b in ((0, 1), (1, 0))
        ]
        return {"global_view": self.global_loss(logits, teacher_logits), "local_view": torch.stack(local).mean()}

    @staticmethod
    def freeze_prototypes(student: LampsNetwork, frozen: bool) -> None:
        """Train the prototypes or not: in the first epoch they are held (DINO's ``freeze_last_layer``, as released)."""
        if student.cross_view is not None:
            student.cross_view.whole.last_layer.parametrizations.weight.original1.requires_grad_(not frozen)

    @torch.no_grad()
    def update_center(self) -> None:
        """Move the centre by the last step's teacher logits; nothing where the objective was not active."""
        if self._teacher_logits is not None:
            self.global_loss.update_center(self._teacher_logits)
            self._teacher_logits = None
