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
"""Projection head of DINO."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["DINOHead"]


class DINOHead(nn.Module):
    """Three-layer perceptron, L2 normalisation, weight-normed prototypes (DINO, arXiv 2104.14294, section 3).

    Lamps (arXiv 2512.22872) uses it for the global self-distillation of its optional fourth objective. Of the released
    checkpoint this is ``peac_global``: ``last_layer.weight_g`` and ``weight_v`` there are
    ``last_layer.parametrizations.weight.original0`` and ``original1`` here.

    Args:
        dim: width of the embedding.
        out_dim: K, the number of prototypes.
        hidden_dim: width of the two hidden layers.
        bottleneck_dim: width of the normalised output of the perceptron.
    """

    def __init__(self, dim: int, out_dim: int = 65536, hidden_dim: int = 2048, bottleneck_dim: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, bottleneck_dim),
        )
        last = nn.Linear(bottleneck_dim, out_dim, bias=False)
        for layer in (*self.mlp, last):
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.last_layer = weight_norm(last)
        magnitude = self.last_layer.parametrizations.weight.original0
        nn.init.ones_(magnitude)
        magnitude.requires_grad_(False)

    def bottleneck(self, x: torch.Tensor) -> torch.Tensor:
        """L2-normalised output of the perceptron: (..., dim), float, to (..., bottleneck_dim), float of norm 1."""
        return F.normalize(self.mlp(x), dim=-1, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the prototypes: (..., dim), float, to (..., out_dim), float in [-1, 1]."""
        logits: torch.Tensor = self.last_layer(self.bottleneck(x))
        return logits
