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

from torch import nn

from monai_lamps.networks import DINOHead, Encoder, ProjectionHead

__all__ = ["CrossViewHeads", "LampsNetwork"]


class CrossViewHeads(nn.Module):
    """Heads of the optional fourth objective: ``whole`` (released as peac_global) and ``part`` (peac_local).

    Args:
        dim: width of the encoder's embedding.
        prototypes: outputs of the global head, 65536 as published.
    """

    def __init__(self, dim: int, prototypes: int = 65536) -> None:
        super().__init__()
        self.whole = DINOHead(dim, prototypes)
        self.part = ProjectionHead(dim)


class LampsNetwork(nn.Module):
    """What the student is and the teacher copies: the encoder and, where the objective is on, the cross-view heads.

    Heads that only the student uses (decoder, order head, composer, decomposer) belong to the method. The released
    teacher carries copies of them, too, which nothing uses.

    Args:
        encoder: the encoder.
        cross_view: heads of the fourth objective.
    """

    def __init__(self, encoder: Encoder, cross_view: CrossViewHeads | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.cross_view = cross_view
