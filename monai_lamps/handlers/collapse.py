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
from monai.metrics import EmbeddingCollapseMetric
from torch import Tensor

__all__ = ["collapse_figures"]


def collapse_figures(embeddings: Tensor) -> dict[str, float]:
    """Whether embeddings of different images still differ, in numbers that need no labels.

    The effective rank is that of MONAI's ``EmbeddingCollapseMetric`` (Roy and Vetterli 2007: exponential of the entropy
    of the singular values of the centred embeddings); the feature spread is that of SimSiam (Chen and He 2021).

    Args:
        embeddings: one embedding an image, (N, D), float, N at least 2.

    Returns:
        - ``effective_rank``: dimensions in use, up to ``min(N - 1, D)``; 0.0 when all embeddings are equal.
        - ``effective_rank_share``: the same over its greatest possible value, 0 (collapsed) to 1.
        - ``feature_std``: sqrt(D) times the standard deviation over images of the L2-normalised embeddings, mean over
          features: 0 when all point in one direction, about 1 when the directions are uniform on the sphere.

    Raises:
        ValueError: when the shape is not (N, D) with N at least 2, or a value is not finite.
    """
    if embeddings.ndim != 2 or embeddings.shape[0] < 2:
        raise ValueError(f"embeddings must be (N, D) with at least 2 rows, got shape {tuple(embeddings.shape)}.")
    values = embeddings.detach().float()
    broken = int((~values.isfinite()).any(dim=1).sum())
    if broken:
        raise ValueError(f"embeddings must be finite, got {broken} of {len(values)} rows with NaN or Inf.")
    count, width = values.shape
    metric = EmbeddingCollapseMetric(reduction="none", include_indicators=["effective_rank"])
    score = metric(values)["effective_rank_score"]
    assert score is not None  # it needs no labels
    share = 1.0 - float(score)
    spread = torch.nn.functional.normalize(values, dim=1).std(dim=0).mean() * width**0.5
    return {
        "effective_rank": share * min(count - 1, width),
        "effective_rank_share": share,
        "feature_std": float(spread),
    }
