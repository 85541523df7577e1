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

import math

import pytest
import torch

from monai_lamps.metrics.anatomy.clusters import Clusters
from monai_lamps.metrics.anatomy.vectors import unit_vectors


def draw(count: int = 24, labels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    number = torch.arange(count) % labels
    centres = torch.randn(labels, 6, generator=generator)
    return unit_vectors(centres[number] + 0.7 * torch.randn(count, 6, generator=generator)), number


def plain_silhouette(vectors: torch.Tensor, labels: torch.Tensor) -> float:
    scores = []
    for i, label in enumerate(labels.tolist()):
        mean = {
            other: [1 - float(vectors[i] @ vectors[j]) for j in range(len(labels)) if labels[j] == other and j != i]
            for other in set(labels.tolist())
        }
        a = sum(mean[label]) / len(mean[label])
        b = min(sum(d) / len(d) for other, d in mean.items() if other != label)
        scores.append((b - a) / max(a, b))
    return sum(scores) / len(scores)


def plain_davies_bouldin(vectors: torch.Tensor, labels: torch.Tensor) -> float:
    centres = {label: vectors[labels == label].mean(0) for label in set(labels.tolist())}
    scatter = {label: float((vectors[labels == label] - c).norm(dim=1).mean()) for label, c in centres.items()}
    worst = [
        max((scatter[i] + scatter[j]) / float((centres[i] - centres[j]).norm()) for j in centres if j != i)
        for i in centres
    ]
    return sum(worst) / len(worst)


def test_both_equal_plain_loops() -> None:
    vectors, labels = draw()
    clusters, ones = Clusters(vectors, labels), torch.ones(24, dtype=torch.float64)
    assert clusters.silhouette(ones) == pytest.approx(plain_silhouette(vectors, labels))
    assert clusters.davies_bouldin(ones) == pytest.approx(plain_davies_bouldin(vectors, labels))


def test_both_equal_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    vectors, labels = draw()
    clusters, ones = Clusters(vectors, labels), torch.ones(24, dtype=torch.float64)
    assert clusters.silhouette(ones) == pytest.approx(metrics.silhouette_score(vectors, labels, metric="cosine"))
    assert clusters.davies_bouldin(ones) == pytest.approx(metrics.davies_bouldin_score(vectors, labels))


def test_a_case_worked_by_hand() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    clusters, ones = Clusters(vectors, torch.tensor([0, 0, 1])), torch.ones(3, dtype=torch.float64)
    # distances 0.4, 1 and 0.2: (1 - 0.4) / 1, (0.2 - 0.4) / 0.4, and 0 for the one that is alone
    assert clusters.silhouette(ones) == pytest.approx((0.6 - 0.5 + 0) / 3)
    # centroids (0.8, 0.4) and (0, 1): 1 apart, scatter sqrt(0.2) and 0
    assert clusters.davies_bouldin(ones) == pytest.approx(math.sqrt(0.2))


def test_weight_0_is_absent_and_weight_2_is_there_twice() -> None:
    vectors, labels = draw()
    weights = torch.tensor([0.0, 1.0, 2.0] * 8, dtype=torch.float64).roll(1)
    weights[5] = 0
    there = torch.repeat_interleave(torch.arange(24), weights.long())
    clusters, again = Clusters(vectors, labels), Clusters(vectors[there], labels[there])
    ones = torch.ones(len(there), dtype=torch.float64)
    assert clusters.davies_bouldin(weights) == pytest.approx(again.davies_bouldin(ones))
    kept = weights > 0
    reduced = Clusters(vectors[kept], labels[kept]).silhouette(torch.ones(int(kept.sum()), dtype=torch.float64))
    assert clusters.silhouette(kept.double()) == pytest.approx(reduced)


def test_points_are_perfect_and_a_constant_is_nothing() -> None:
    labels = torch.arange(6) % 2
    ones = torch.ones(6, dtype=torch.float64)
    points = Clusters(torch.eye(2, dtype=torch.float64)[labels], labels)
    assert (points.silhouette(ones), points.davies_bouldin(ones)) == (1, 0)
    constant = Clusters(unit_vectors(torch.ones(6, 5)), labels)
    assert constant.silhouette(ones) == 0
    assert math.isnan(constant.davies_bouldin(ones))


def test_a_single_label_in_a_draw_defines_nothing() -> None:
    vectors, labels = draw()
    only = (labels == 1).double()
    assert math.isnan(Clusters(vectors, labels).silhouette(only))
    assert math.isnan(Clusters(vectors, labels).davies_bouldin(only))
