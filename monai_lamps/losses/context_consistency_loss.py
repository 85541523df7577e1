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
"""Tokens of what is healthy in a lesioned image, kept as they are in the healthy image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .restoration_loss import chosen_mean
from .shapes import require_shape

__all__ = ["ContextConsistencyLoss"]


class ContextConsistencyLoss(_Loss):
    """One less the cosine between the student's tokens and the teacher's of the same cells, on chosen cells.

    The part of RadLAS (ACM MM 2025) that keeps the global context: on cells without lesion the lesioned image must look
    as the healthy one does to the teacher. The form is our choice; AFiRe (arXiv 2504.10972) has a cross entropy with
    prototypes there. Every sample counts the same; one without a chosen cell counts as 0.
    """

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32.

        Args:
            student: tokens (B, N, D), float.
            teacher: tokens (B, N, D), float. No gradient flows into them.
            chosen: (B, N), bool: which cells count.

        Returns:
            scalar float32 in [0, 2].

        Raises:
            ValueError: when shapes do not fit.
        """
        require_shape(student, "student", "(B, N, D)", (None, None, None))
        require_shape(teacher, "teacher", "(B, N, D)", tuple(student.shape))
        require_shape(chosen, "chosen", "(B, N)", tuple(student.shape[:2]))
        distance = 1 - F.cosine_similarity(student.float(), teacher.detach().float(), dim=-1)
        return chosen_mean(distance, chosen)
