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
"""Small heads on tokens and embeddings: patch order, composition, decomposition, projection."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Composer", "Decomposer", "OrderHead", "ProjectionHead"]


class OrderHead(nn.Linear):
    """For each shuffled cell, which cell of the image it is (POPAR, and the order loss of Lamps, arXiv 2512.22872).

    Maps tokens (B, N, D), float, to logits (B, N, cells), float. Of the released checkpoint this is ``popar_head``.

    Args:
        dim: D, the width of the tokens.
        cells: number of cells of a view, g**n.
    """

    def __init__(self, dim: int, cells: int) -> None:
        super().__init__(dim, cells)
        nn.init.trunc_normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)


class Composer(nn.Module):
    """Predicts the embedding of a whole from those of its parts (Lamps, arXiv 2512.22872, composition).

    Args:
        dim: D, the width of the embeddings.
        spatial_dims: n; a whole has 2**n parts (quadrants or octants).
    """

    def __init__(self, dim: int, spatial_dims: int = 2) -> None:
        super().__init__()
        self.parts = 2**spatial_dims
        self.dim = dim
        self.layer = nn.Sequential(
            nn.Linear(self.parts * dim, dim, bias=False),
            nn.LayerNorm(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim),
            nn.LayerNorm(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim),
        )

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """Compose.

        Args:
            parts: embeddings of the parts (B, 2**n, D), float, in 2-D in the order top-left, bottom-left, top-right,
                bottom-right (the last spatial axis is the slowest). The order is part of trained weights.

        Returns:
            embedding of the whole (B, D), float.

        Raises:
            ValueError: when the shape is another.
        """
        if parts.ndim != 3 or tuple(parts.shape[1:]) != (self.parts, self.dim):
            raise ValueError(f"expected embeddings of parts (B, {self.parts}, {self.dim}), got {tuple(parts.shape)}.")
        composed: torch.Tensor = self.layer(parts.flatten(1))
        return composed


class Decomposer(nn.Module):
    """Predicts the embeddings of the parts from that of the whole (Lamps, arXiv 2512.22872, decomposition).

    Args:
        dim: D, the width of the embeddings.
        spatial_dims: n; a whole has 2**n parts (quadrants or octants).
    """

    def __init__(self, dim: int, spatial_dims: int = 2) -> None:
        super().__init__()
        self.parts = 2**spatial_dims
        self.dim = dim
        width = self.parts * dim
        self.layer = nn.Sequential(
            nn.Linear(dim, width, bias=False), nn.LayerNorm(width), nn.ReLU(inplace=True), nn.Linear(width, width)
        )

    def forward(self, whole: torch.Tensor) -> torch.Tensor:
        """Decompose.

        Args:
            whole: embedding of the whole (B, D), float.

        Returns:
            embeddings of the parts (B, 2**n, D), float, in the order of :class:`Composer`.

        Raises:
            ValueError: when the shape is another.
        """
        if whole.ndim != 2 or whole.shape[1] != self.dim:
            raise ValueError(f"expected embeddings of wholes (B, {self.dim}), got {tuple(whole.shape)}.")
        parts: torch.Tensor = self.layer(whole).unflatten(1, (self.parts, self.dim))
        return parts


class ProjectionHead(nn.Sequential):
    """Projects tokens before they are compared across views (PEAC; the optional fourth objective of Lamps).

    Maps (..., dim), float, to (..., out), float. Of the released checkpoint this is ``peac_local``.

    Args:
        dim: width of the tokens.
        hidden: width of the two hidden layers.
        out: width of the projection; its layer has no bias.
    """

    def __init__(self, dim: int, hidden: int = 512, out: int = 512) -> None:
        super().__init__(
            nn.Linear(dim, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out, bias=False),
        )
