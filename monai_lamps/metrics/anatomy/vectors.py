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
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cosine", "unit_vectors"]


def unit_vectors(embeddings: Tensor, name: str = "embeddings") -> Tensor:
    """Embeddings of length 1, in float64 on the CPU; only the direction of an embedding is judged.

    An embedding of zeros has no direction and stays zero: its cosine with every other is 0.

    Args:
        embeddings: (..., D), float.
        name: what they are, for the message.

    Raises:
        ValueError: when a value is not finite.
    """
    values = embeddings.detach().double().cpu()
    broken = int((~values.isfinite()).any(dim=-1).sum())
    if broken:
        total = values.shape[:-1].numel()
        raise ValueError(f"{name} must be finite, got {broken} of {total} vectors with NaN or Inf; check the encoder.")
    return F.normalize(values, dim=-1)


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine along the last axis of vectors from :func:`unit_vectors`, rounded to 9 decimals so that ties are ties.

    Args:
        first: (..., D), float64.
        second: (..., D), float64, broadcast against the first.
    """
    return torch.einsum("...d,...d->...", first, second).round(decimals=9)
