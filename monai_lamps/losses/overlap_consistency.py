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
"""Consistency of two views on the cells that both of them show."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["OverlapConsistencyLoss"]


class OverlapConsistencyLoss(_Loss):
    """Mean squared error between the student's tokens of one view and the teacher's of the other, on shared cells.

    The local part of PEAC, which is the optional fourth objective of Lamps (arXiv 2512.22872). The index comes from
    the cells' places in the region, so both sides always show the same anatomy (the released helper swaps the axes and
    agrees with its own cropper for 85 of 625 pairs of offsets only).

    How many cells two views share differs from sample to sample. In training with several processes the sum is
    therefore divided by the number of shared cells of the whole batch, so that the average of the processes' losses and
    gradients is what one process would have; every process must call it then. In evaluation nothing is communicated.
    """

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32, over all shared cells of the batch.

        Args:
            student: tokens of one view (B, N, D), float.
            teacher: tokens of the other view (B, N, D), float.
            index: (B, N), int64 in [-1, N): for each cell of the student's view the same cell in the teacher's, or -1.

        Returns:
            scalar float32, >= 0; 0 where no cell is shared.

        Raises:
            ValueError: when shapes do not fit.
        """
        require_shape(student, "student", "(B, N, D)", (None, None, None))
        require_shape(teacher, "teacher", "(B, N, D)", tuple(student.shape))
        require_shape(index, "index", "(B, N)", tuple(student.shape[:2]))
        shared = index >= 0
        target = teacher.gather(1, index.clamp(min=0)[..., None].expand_as(teacher))
        cells = F.mse_loss(student.float(), target.float(), reduction="none").mean(dim=-1)
        return torch.where(shared, cells, 0.0).sum() / self._count(shared)

    def _count(self, shared: torch.Tensor) -> torch.Tensor:
        """Shared cells in this process's share of the batch; in training the mean over all processes."""
        count, processes = shared.sum(), 1
        if self.training and dist.is_available() and dist.is_initialized():
            dist.all_reduce(count)
            processes = dist.get_world_size()
        return count.clamp(min=1) / processes
