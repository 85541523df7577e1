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

from collections.abc import Collection

from torch import Tensor, nn

from monai_lamps.networks import DINOHead, Encoder

__all__ = ["CodaNetwork"]


class CodaNetwork(nn.Module):
    """What the student is and the teacher copies: an encoder and one head for each objective.

    Published are two equal heads: three layers, L2 normalisation, prototypes; which of these outputs is contrasted, the
    paper does not say. Here it is that of the three layers (normalised by the loss), so that the organ head has no
    prototypes.

    ``organ_head`` gives codes (B, bottleneck) of any length, ``instance_head`` logits of the prototypes (B, K), both of
    the encoder's embedding (B, D).

    Args:
        encoder: the encoder.
        objectives: those that are ever trained, of ``"inter"`` and ``"intra"``; no other head is built.
        prototypes: outputs of the instance head, published 65536.
        hidden, bottleneck: widths of the heads, published 2048; 256 is DINO's.
    """

    def __init__(
        self,
        encoder: Encoder,
        objectives: Collection[str] = ("inter", "intra"),
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        if "inter" in objectives:
            self.organ_head = DINOHead(encoder.embed_dim, 1, hidden, bottleneck).mlp
        if "intra" in objectives:
            self.instance_head = DINOHead(encoder.embed_dim, prototypes, hidden, bottleneck)

    def freeze_prototypes(self, frozen: bool) -> None:
        """Train the prototypes or hold them (DINO's ``freeze_last_layer``); nothing where there are none."""
        if hasattr(self, "instance_head"):
            directions: Tensor = self.instance_head.last_layer.parametrizations.weight.original1
            directions.requires_grad_(not frozen)
