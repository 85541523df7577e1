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

from torch import Tensor, nn

from monai_lamps.networks import Encoder

__all__ = ["LinearClassifier"]


class LinearClassifier(nn.Module):
    """Encoder, mean of its tokens, one linear layer: what the papers fine-tune; with a frozen encoder, a linear probe.

    Maps normalised images (B, C, ...) to logits (B, classes).

    Args:
        encoder: the encoder.
        classes: number of classes.
        dropout: share of the embedding's entries that is dropped before the linear layer while training, in [0, 1).

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(self, encoder: Encoder, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"classes must be at least 1, got {classes}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be a share in [0, 1), got {dropout}.")
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.embed_dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes).

        Args:
            images: normalised, (B, C, ...), float, each side a multiple of the encoder's cell.
        """
        logits: Tensor = self.head(self.dropout(self.encoder(images)))
        return logits
