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
"""Adam-v2's composer and decomposer: two layers each, without normalisation."""

from __future__ import annotations

from torch import nn

__all__ = ["PartComposer", "PartDecomposer"]


class PartComposer(nn.Sequential):
    """Embeddings of the parts (B, P, D), float, to that of the whole (B, D), float: P D -> D -> D with ReLU.

    :class:`~monai_lamps.networks.Composer` (Lamps), which has LayerNorms and one layer more, fits in its place.

    Args:
        dim: D, the width of the embeddings.
        parts: P.
    """

    def __init__(self, dim: int, parts: int = 4) -> None:
        super().__init__(nn.Flatten(1), nn.Linear(parts * dim, dim), nn.ReLU(inplace=True), nn.Linear(dim, dim))


class PartDecomposer(nn.Sequential):
    """Embedding of the whole (B, D), float, to those of its parts (B, P, D), float: D -> D -> P D with ReLU.

    :class:`~monai_lamps.networks.Decomposer` (Lamps), which has a LayerNorm and is wider, fits in its place.

    Args:
        dim: D, the width of the embeddings.
        parts: P.
    """

    def __init__(self, dim: int, parts: int = 4) -> None:
        super().__init__(
            nn.Linear(dim, dim), nn.ReLU(inplace=True), nn.Linear(dim, parts * dim), nn.Unflatten(1, (parts, dim))
        )
