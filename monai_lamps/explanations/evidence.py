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

from typing import Any

import torch
from torch import Tensor, nn

from .explainer import CannotExplainError
from .left_as_it_was import left_as_it_was

__all__ = ["ClassEvidenceExplainer", "EvidenceExplainer"]


class EvidenceExplainer:
    """The evidence map of networks that restore the normal image and compare; the same map for every class.

    Reads ``evidence(images)`` of the network, and of its answer ``pixel_map`` (B, 1, ...).
    """

    @torch.no_grad()
    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain the network, see :class:`~monai_lamps.explanations.Explainer`."""
        read: Any = getattr(network, "evidence", None)
        if not callable(read):
            raise CannotExplainError(
                f"the evidence map is read from the method 'evidence' of the network, which {type(network).__name__} "
                "has not; it is for networks with an evidence head (train.json --head evidence)."
            )
        with left_as_it_was(network):
            maps: Tensor = read(images).pixel_map
        return maps.float().clamp(min=0)


class ClassEvidenceExplainer:
    """The evidence for one class that an evidence head weighs, token by token; what speaks against it is 0.

    Reads ``explain(images, class_index)`` (B, 1, ...) of the network.
    """

    @torch.no_grad()
    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain one class, see :class:`~monai_lamps.explanations.Explainer`."""
        read: Any = getattr(network, "explain", None)
        if not callable(read):
            raise CannotExplainError(
                f"the evidence for a class is read from the method 'explain' of the network, which "
                f"{type(network).__name__} has not; it is for networks with an evidence head (train.json --head "
                "evidence)."
            )
        with left_as_it_was(network):
            maps: Tensor = read(images, class_index)
        return maps.float().clamp(min=0)
