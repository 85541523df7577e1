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

from monai_lamps.networks import ContrastiveHead, Encoder

__all__ = ["AdamNetwork"]


class AdamNetwork(nn.Module):
    """What the student is and the teacher copies: an encoder and the head on the mean of its tokens.

    In the released code this is a ResNet-50 whose ``fc`` is the head. The encoders of this package normalise their
    tokens (LayerNorm) before the mean; the released one does not.

    Args:
        encoder: the encoder.
        hidden: width of the head's hidden layer, published 2048.
        out: width of the projection, published 128.
    """

    def __init__(self, encoder: Encoder, hidden: int = 2048, out: int = 128) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = ContrastiveHead(encoder.embed_dim, hidden, out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Projections (B, out), float, of any length, of normalised images (B, C, ...)."""
        projected: torch.Tensor = self.head(self.encoder(images))
        return projected
