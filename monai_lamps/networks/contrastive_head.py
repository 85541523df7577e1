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
"""Projection head of contrastive learning."""

from __future__ import annotations

from torch import nn

__all__ = ["ContrastiveHead"]


class ContrastiveHead(nn.Sequential):
    """Projects the embedding of an image before it is contrasted with those of others (MoCo-v2, arXiv 2003.04297).

    Adam (arXiv 2309.15358) uses it with these sizes; of its released checkpoints this is ``fc``. Two layers without
    normalisation: (..., dim), float, to (..., out), float of any length.

    Args:
        dim: width of the embedding.
        hidden: width of the hidden layer.
        out: width of the projection.
    """

    def __init__(self, dim: int, hidden: int = 2048, out: int = 128) -> None:
        super().__init__(nn.Linear(dim, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out))
