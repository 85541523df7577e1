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

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from monai_lamps.methods.coda.network import CodaNetwork

__all__ = ["CodaViews", "MOST_LOCALS"]

#: the augmentation of view i of a sample is keyed by seed * KEYS + i: the student's whole, the teacher's, local views
_KEYS = 64
_FIRST = {"student": 0, "teacher": 1, "local": 2}
MOST_LOCALS = _KEYS - _FIRST["local"]


class CodaViews:
    """Everything a step can ask of one batch, each made when an objective first asks for it, and made once.

    Both objectives look at the same whole through the teacher. What the teacher gives carries no gradient.

    Args:
        batch: a collated batch, see :meth:`Coda.forward`.
        student, teacher: their networks.
        normalize: images in [0, 1] to the encoder's range.
        augment: (images in [0, 1], keys, role) to augmented images in [0, 1].
    """

    def __init__(
        self,
        batch: Mapping[str, Tensor],
        student: CodaNetwork,
        teacher: CodaNetwork,
        normalize: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor, Tensor, str], Tensor],
    ) -> None:
        self.batch, self.student, self.teacher = batch, student, teacher
        self.normalize, self.augment = normalize, augment

    @property
    def organ(self) -> Tensor:
        """Number of each sample's organ, (B,) int64; below 0 where it is not known."""
        return self.batch["organ_index"]

    @cached_property
    def student_whole(self) -> Tensor:
        """The augmented whole that the student sees, (B, C, size, ...), float in [0, 1]."""
        return self._augmented("student", self.batch["wholes"][:, :1])[:, 0]

    @cached_property
    def teacher_whole(self) -> Tensor:
        """The augmented whole that the teacher sees, (B, C, size, ...), float in [0, 1]."""
        return self._augmented("teacher", self.batch["wholes"][:, -1:])[:, 0]

    @cached_property
    def locals(self) -> Tensor:
        """Augmented local views, (B, V, C, local_size, ...), float in [0, 1]; all for the student."""
        return self._augmented("local", self.batch["locals"])

    @cached_property
    def teacher_embedding(self) -> Tensor:
        """Teacher's embedding of its whole, (B, D)."""
        with torch.no_grad():
            embedding: Tensor = self.teacher.encoder(self.normalize(self.teacher_whole))
        return embedding

    @cached_property
    def student_code(self) -> Tensor:
        """z: the student's organ code of its whole, (B, bottleneck)."""
        code: Tensor = self.student.organ_head(self.student.encoder(self.normalize(self.student_whole)))
        return code

    @cached_property
    def teacher_code(self) -> Tensor:
        """Teacher's organ code of its whole, (B, bottleneck)."""
        with torch.no_grad():
            code: Tensor = self.teacher.organ_head(self.teacher_embedding)
        return code

    @cached_property
    def student_logits(self) -> Tensor:
        """Z^s: the student's logits of the local views, (V, B, K)."""
        views = self.locals
        embeddings = self.student.encoder(self.normalize(views.flatten(0, 1)))
        logits: Tensor = self.student.instance_head(embeddings).unflatten(0, views.shape[:2])
        return logits.transpose(0, 1)

    @cached_property
    def teacher_logits(self) -> Tensor:
        """z^t: the teacher's logits of its whole, (1, B, K)."""
        with torch.no_grad():
            logits: Tensor = self.teacher.instance_head(self.teacher_embedding)
        return logits[None]

    def _augmented(self, role: str, views: Tensor) -> Tensor:
        number = torch.arange(_FIRST[role], _FIRST[role] + views.shape[1], device=views.device)
        key = (self.batch["seed"][:, None] % 2**56 * _KEYS + number).flatten()
        augmented: Tensor = self.augment(views.flatten(0, 1), key, role).unflatten(0, views.shape[:2])
        return augmented
