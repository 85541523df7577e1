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
"""The views of a batch of Adam-v2, augmented and embedded when an objective first asks for them, and then kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from monai_lamps.methods.adam_v2.network import AdamV2Network

__all__ = ["AdamV2Crops"]

#: the augmentation of view i of a sample is keyed by seed * KEYS + i: the whole, then global views, parts, local views
_KEYS = 64
_FIRST = {"whole": 0, "globals": 1, "parts": 8, "locals": 32}


class AdamV2Crops:
    """Everything a step can ask of one batch, each made when an objective first asks for it, and made once.

    As released, student and teacher see the same augmented whole and parts. Teacher embeddings carry no gradient.

    Args:
        batch: a collated batch, see :meth:`AdamV2.forward`.
        student, teacher: their networks.
        normalize: images in [0, 1] to the encoder's range.
        augment: (images in [0, 1], keys, role, joint) to augmented images in [0, 1].
    """

    def __init__(
        self,
        batch: Mapping[str, Tensor],
        student: AdamV2Network,
        teacher: AdamV2Network,
        normalize: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor, Tensor, str, bool], Tensor],
    ) -> None:
        self.batch, self.joint = batch, "whole" in batch
        self.student, self.teacher = student, teacher
        self.normalize, self.augment = normalize, augment

    @cached_property
    def whole(self) -> Tensor:
        """Augmented wholes, (B, C, size, ...), float in [0, 1]."""
        return self._augmented("whole", self.batch["whole"][:, None], "whole")[:, 0]

    @cached_property
    def globals(self) -> Tensor:
        """Augmented global views, (B, 1 or 2, C, size, ...), float in [0, 1]; the first is blurred."""
        views = self.batch["globals"]
        augmented = [
            self._augmented("globals", views[:, i : i + 1], "whole" if i else "global", i)
            for i in range(views.shape[1])
        ]
        return torch.cat(augmented, dim=1)

    @cached_property
    def locals(self) -> Tensor:
        """Augmented local views, (B, V, C, local_size, ...), float in [0, 1]."""
        return self._augmented("locals", self.batch["locals"], "local")

    @cached_property
    def parts(self) -> Tensor:
        """Augmented parts, (B, P, C, size, ...), float in [0, 1]."""
        return self._augmented("parts", self.batch["parts"], "whole")

    @cached_property
    def student_logits(self) -> Tensor:
        """Student's logits of the global views and the local views after them, (V, B, K)."""
        logits = [self._each(self.student, views) for views in (self.globals, self.locals)]
        return torch.cat(logits, dim=1).transpose(0, 1)

    @cached_property
    def teacher_logits(self) -> Tensor:
        """Teacher's logits that the student's shall agree with, (W, B, K): of the whole, else of the global views."""
        with torch.no_grad():
            if self.joint:
                logits: Tensor = self.teacher.head(self.teacher_whole)[None]
                return logits
            return self._each(self.teacher, self.globals).transpose(0, 1)

    @cached_property
    def student_whole(self) -> Tensor:
        """Student's embedding of the whole, (B, D)."""
        embedding: Tensor = self.student.encoder(self.normalize(self.whole))
        return embedding

    @cached_property
    def student_parts(self) -> Tensor:
        """Student's embeddings of the parts, (B, P, D)."""
        return self._each(self.student.encoder, self.parts)

    @cached_property
    def teacher_whole(self) -> Tensor:
        """Teacher's embedding of the whole, (B, D)."""
        with torch.no_grad():
            embedding: Tensor = self.teacher.encoder(self.normalize(self.whole))
        return embedding

    @cached_property
    def teacher_parts(self) -> Tensor:
        """Teacher's embeddings of the parts, (B, P, D)."""
        with torch.no_grad():
            return self._each(self.teacher.encoder, self.parts)

    def _each(self, network: Callable[[Tensor], Tensor], views: Tensor) -> Tensor:
        """What a network gives for each of the views (B, V, C, ...), (B, V, ...)."""
        given: Tensor = network(self.normalize(views.flatten(0, 1))).unflatten(0, views.shape[:2])
        return given

    def _augmented(self, name: str, views: Tensor, role: str, skipped: int = 0) -> Tensor:
        first = _FIRST[name] + skipped
        number = torch.arange(first, first + views.shape[1], device=views.device)
        key = (self.batch["seed"][:, None] % 2**56 * _KEYS + number).flatten()
        augmented: Tensor = self.augment(views.flatten(0, 1), key, role, self.joint).unflatten(0, views.shape[:2])
        return augmented
