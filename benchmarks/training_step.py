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
"""One step of Lamps as the trainer makes it, without the trainer: forward, backward, clip, AdamW, teacher."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from monai_lamps.engines import PerParameterClip, Progress
from monai_lamps.methods import Lamps

__all__ = ["Step"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Step:
    """A training step of a method in a precision.

    Args:
        method: on its device.
        precision: fp32, bf16 or fp16 (with a gradient scaler).
        share: a step of a method with the same parameters, whose optimizer is to be used.
    """

    def __init__(self, method: Lamps, precision: str, share: Step | None = None) -> None:
        self.method, self.dtype = method.train(), _TYPES[precision]
        self.parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
        self.device = self.parameters[0].device.type
        fused = self.device == "cuda"
        self.optimizer = share.optimizer if share else torch.optim.AdamW(self.parameters, lr=1e-6, fused=fused)
        self.scaler = torch.amp.GradScaler(self.device, enabled=precision == "fp16")
        self.clip = PerParameterClip(0.8)

    def loss(self, batch: Mapping[str, Tensor], progress: Progress) -> Tensor:
        """The sum of the active terms, under autocast; reseeded, so that stochastic depth is the same each time."""
        torch.manual_seed(0)
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            terms = self.method(batch, progress)
        return torch.stack([term.float() for term in terms.values()]).sum()

    def __call__(self, batch: Mapping[str, Tensor], progress: Progress) -> None:
        """Make the step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(self.loss(batch, progress)).backward()
        self.scaler.unscale_(self.optimizer)
        self.clip(self.parameters)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.method.after_step(progress)
