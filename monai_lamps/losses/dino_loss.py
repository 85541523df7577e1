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
"""Self-distillation loss of DINO."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["DINOLoss"]


class DINOLoss(_Loss):
    """Cross-entropy between the teacher's centred, sharpened distribution of one view and the student's of another.

    DINO (arXiv 2104.14294, section 3.1); the global part of the optional fourth objective of Lamps (arXiv 2512.22872),
    there with weight 0.1; localizability of Adam-v2 (CVPR 2024) and the intra-organ objective of Coda (MICCAI 2025).
    The centre, the moving average of the teacher's logits, keeps the outputs from collapsing to one prototype. The loss
    itself does not move it: call :meth:`update_center` after the optimizer step, so that a validation pass leaves no
    trace.

    Args:
        out_dim: K, the number of prototypes.
        student_temperature: > 0.
        teacher_temperature: > 0, below the student's to sharpen.
        center_momentum: share of the old centre that is kept, in [0, 1].

    Attributes:
        teacher_temperature: may be set at any time. DINO warms it up from 0.04 to 0.07 in 30 epochs: a method sets it
            to what its schedule gives, so that it is no state of a run.

    Raises:
        ValueError: when an argument is out of range.
    """

    center: torch.Tensor

    def __init__(
        self,
        out_dim: int,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
    ) -> None:
        super().__init__()
        if student_temperature <= 0 or teacher_temperature <= 0:
            raise ValueError(f"temperatures must be positive, got {student_temperature} and {teacher_temperature}.")
        if not 0 <= center_momentum <= 1:
            raise ValueError(f"center_momentum must lie in [0, 1], got {center_momentum}.")
        self.out_dim = out_dim
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(1, out_dim))

    def forward(
        self, student_logits: torch.Tensor, teacher_logits: torch.Tensor, shared: int | None = None
    ) -> torch.Tensor:
        """Compute the loss, in float32: the mean over all pairs of different views, and over the batch.

        Args:
            student_logits: (V, B, K), float, V >= 1 views.
            teacher_logits: (W, B, K), float, W >= 1 views. No gradient flows into them.
            shared: how many of the first views are the same for student and teacher, so that they are not compared. By
                default all W of the teacher (DINO); 0 where the student sees none of them, as in Coda.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit, ``shared`` is no such number, or no pair of different views is left.
        """
        require_shape(student_logits, "student_logits", "(V, B, K)", (None, None, self.out_dim))
        views, batch, _ = student_logits.shape
        require_shape(teacher_logits, "teacher_logits", "(W, B, K)", (None, batch, self.out_dim))
        shared = len(teacher_logits) if shared is None else shared
        if not 0 <= shared <= min(views, len(teacher_logits)) or views * len(teacher_logits) == shared:
            raise ValueError(
                f"expected at least one pair of different views, got {views} of the student and {len(teacher_logits)} "
                f"of the teacher with {shared} in common; pass shared=0 where the student sees other views."
            )
        teacher = ((teacher_logits.detach().float() - self.center) / self.teacher_temperature).softmax(dim=-1)
        student = (student_logits.float() / self.student_temperature).log_softmax(dim=-1)
        pairs = [(v, w) for w in range(len(teacher)) for v in range(views) if v != w or w >= shared]
        terms = [-(teacher[w] * student[v]).sum(dim=-1).mean() for v, w in pairs]
        return torch.stack(terms).mean()

    @torch.no_grad()
    def update_center(self, teacher_logits: torch.Tensor) -> None:
        """Move the centre towards the mean of these logits, over all processes where there are several.

        Args:
            teacher_logits: (..., K), float; every process must call.

        Raises:
            ValueError: when the last axis is not K.
        """
        if teacher_logits.shape[-1] != self.out_dim:
            raise ValueError(f"expected teacher_logits (..., {self.out_dim}), got {tuple(teacher_logits.shape)}.")
        logits = teacher_logits.detach().float().flatten(0, -2)
        total = torch.cat([logits.sum(dim=0), logits.new_tensor([len(logits)])])  # sum and count in one message
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(total)
        mean = total[:-1] / total[-1]
        mean = torch.where(mean.isfinite().all(), mean, self.center[0].to(mean.dtype))  # one bad batch must not stay
        self.center.lerp_(mean[None].to(self.center.dtype), 1.0 - self.center_momentum)
