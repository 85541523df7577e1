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
"""Teacher that follows a student as its exponential moving average."""

from __future__ import annotations

import copy
from typing import Any

import torch
from monai.networks.layers.drop_path import DropPath
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

__all__ = ["EMATeacher"]


class EMATeacher(nn.Module):
    """A copy of the student whose weights are the moving average of the student's, and that gets no gradient.

    ``teacher = m * teacher + (1 - m) * student`` after every optimizer step (mean teacher, arXiv 1703.01780; DINO and
    Lamps, arXiv 2512.22872, with m rising from 0.996 to 1). Stochastic depth and dropout of the copy are 0. Buffers
    are copied from the student, except the running statistics of batch and instance normalisation, which the teacher
    keeps from its own passes: its images differ from the student's. Being a module, the teacher lies in the
    ``state_dict`` of the method, and its update is a few fused kernels instead of one per tensor (ignite's
    ``EMAHandler`` does neither).

    Args:
        student: the module to copy. Nothing is shared with it afterwards.

    Attributes:
        module: the copy.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(student)
        self.module.requires_grad_(False)
        for module in self.module.modules():
            _make_deterministic(module)
        self._own_buffers = {
            f"{name}.{key}" if name else key
            for name, module in self.module.named_modules()
            if isinstance(module, _NormBase)
            for key in ("running_mean", "running_var", "num_batches_tracked")
        }

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the copy gives for these arguments, without recording gradients."""
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def update(self, student: nn.Module, momentum: float) -> None:
        """Move towards the student.

        Args:
            student: the module that was copied, or one of the same structure.
            momentum: m in [0, 1]; 1 changes no parameter, 0 copies the student.

        Raises:
            ValueError: when the momentum is out of range, or the student has other parameters or buffers.
        """
        if not 0 <= momentum <= 1:
            raise ValueError(f"the teacher's momentum must lie in [0, 1], got {momentum}.")
        ours, theirs = _matched(self.module.named_parameters(), student.named_parameters(), "parameters")
        if momentum < 1 and ours:
            torch._foreach_lerp_(ours, theirs, 1.0 - momentum)
        own = self._own_buffers
        ours, theirs = _matched(
            ((name, buffer) for name, buffer in self.module.named_buffers() if name not in own),
            ((name, buffer) for name, buffer in student.named_buffers() if name not in own),
            "buffers",
        )
        if ours:
            torch._foreach_copy_(ours, theirs)


def _make_deterministic(module: nn.Module) -> None:
    if isinstance(module, DropPath):
        module.drop_prob = 0.0
    elif isinstance(module, nn.modules.dropout._DropoutNd):
        module.p = 0.0
    elif isinstance(getattr(module, "dropout_rate", None), float):
        module.dropout_rate = 0.0  # type: ignore[assignment]  # MONAI's attention blocks hand it to fused attention


def _matched(teacher: Any, student: Any, kind: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Tensors of both in one order; refuse what differs in name or shape."""
    ours, theirs = dict(teacher), dict(student)
    differing = sorted(ours.keys() ^ theirs.keys()) or [key for key in ours if ours[key].shape != theirs[key].shape]
    if differing:
        raise ValueError(
            f"the student's {kind} are not the teacher's; first difference: '{differing[0]}'. "
            "Pass the module that the teacher was made from (not its DistributedDataParallel or compiled wrapper)."
        )
    return list(ours.values()), [theirs[key] for key in ours]
