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
from torch import nn

__all__ = ["RunningStatistics"]


class RunningStatistics:
    """Take back what a forward pass has done to the buffers of a module, should its step turn out not to be finite.

    One NaN image would otherwise stay in the running statistics of batch normalisation for ever: the loss of training
    recovers, the exported encoder does not. Nothing waits for the device.

    Args:
        module: its floating-point buffers that belong to the ``state_dict`` are watched (of a Swin there are none).
    """

    def __init__(self, module: nn.Module) -> None:
        saved = module.state_dict()
        self._buffers = [b for name, b in module.named_buffers() if name in saved and b.is_floating_point()]
        self._kept = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def keep(self) -> None:
        """Remember the buffers, before the forward pass."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    @torch.no_grad()
    def restore(self, bad: torch.Tensor) -> None:
        """Put the buffers back where the step was bad.

        Args:
            bad: ``() bool``, on the device.
        """
        for buffer, kept in zip(self._buffers, self._kept):
            buffer.copy_(torch.where(bad, kept, buffer))
