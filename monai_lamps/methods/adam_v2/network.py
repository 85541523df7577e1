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
"""What student and teacher of Adam-v2 are made of."""

from __future__ import annotations

import torch
from torch import nn

from monai_lamps.networks import DINOHead, Encoder

__all__ = ["AdamV2Network"]


class AdamV2Network(nn.Module):
    """What the student is and the teacher copies: an encoder and the localizability head on its embedding.

    Args:
        encoder: the encoder.
        prototypes: outputs of the head, published 65536.
        hidden, bottleneck: widths of the head, published 2048 and 256.
    """

    def __init__(self, encoder: Encoder, prototypes: int = 65536, hidden: int = 2048, bottleneck: int = 256) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = DINOHead(encoder.embed_dim, prototypes, hidden, bottleneck)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the prototypes (B, K), float, of normalised images (B, C, ...)."""
        logits: torch.Tensor = self.head(self.encoder(images))
        return logits
