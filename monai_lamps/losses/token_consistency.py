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
"""Consistency of a shuffled view's tokens with those of the view in order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["ReleasedTokenConsistencyLoss", "TokenConsistencyLoss"]


class TokenConsistencyLoss(_Loss):
    """Mean squared error between the tokens of a shuffled view and the teacher's tokens of the same cells.

    Lamps (arXiv 2512.22872), shuffle objective, consistency term (weight 1): the appearance of a cell must be known
    wherever it stands. The teacher sees the view in order; its tokens are gathered per sample by the permutation.
    """

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32.

        Args:
            student: tokens of the shuffled view (B, N, D), float.
            teacher: tokens of the view in order (B, N, D), float.
            permutation: (B, N), int64 in [0, N); position j of the shuffled view shows cell ``permutation[b, j]``.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit.
        """
        _check(student, teacher, permutation)
        target = teacher.gather(1, permutation[..., None].expand_as(teacher))
        return F.mse_loss(student.float(), target.float())


class ReleasedTokenConsistencyLoss(_Loss):
    """The consistency term as the released code of Lamps computes it; for comparison with it, not for training.

    There the permutations of the batch are flattened to one list before the gather, so that sample b is indexed by
    the single number at place b of that list (for b < N it belongs to sample 0), and all N targets of a sample are the
    same token of the teacher. :class:`TokenConsistencyLoss` is what the paper describes.
    """

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32. Arguments, result and errors are those of :class:`TokenConsistencyLoss`."""
        _check(student, teacher, permutation)
        batch = torch.arange(len(teacher), device=teacher.device)
        target = teacher[batch, permutation.flatten()[: len(teacher)]]  # [B, D]
        return F.mse_loss(student.float(), target[:, None].float().expand_as(student))


def _check(student: torch.Tensor, teacher: torch.Tensor, permutation: torch.Tensor) -> None:
    require_shape(student, "student", "(B, N, D)", (None, None, None))
    require_shape(teacher, "teacher", "(B, N, D)", tuple(student.shape))
    require_shape(permutation, "permutation", "(B, N)", tuple(student.shape[:2]))
