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

import numpy as np
import pytest
import torch

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import Separation, locality, separation, separation_statistic

LABELS = torch.arange(18) % 3
GROUPS = [f"p{number // 3}" for number in range(18)]


def noisy(spread: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.eye(8)[LABELS] + spread * torch.randn(18, 8, generator=generator)


def test_a_perfect_encoder_has_perfect_figures() -> None:
    assert separation(noisy(0), LABELS, GROUPS) == {
        "silhouette": pytest.approx(1),
        "davies_bouldin": pytest.approx(0, abs=1e-6),
        "within_cosine": pytest.approx(1),
        "between_cosine": pytest.approx(0, abs=1e-6),
        "cosine_gap": pytest.approx(1),
    }


def test_a_constant_encoder_separates_nothing() -> None:
    figures = separation(torch.ones(18, 8), LABELS, GROUPS)
    assert (figures["silhouette"], figures["cosine_gap"]) == (0, pytest.approx(0, abs=1e-12))
    assert math.isnan(figures["davies_bouldin"])


def test_cosines_equal_a_plain_loop_over_pairs_of_patients() -> None:
    vectors = torch.nn.functional.normalize(noisy(0.5).double(), dim=1)
    pairs: dict[bool, list[float]] = {True: [], False: []}
    for i in range(18):
        for j in range(18):
            if GROUPS[i] != GROUPS[j]:
                pairs[bool(LABELS[i] == LABELS[j])].append(float(vectors[i] @ vectors[j]))
    figures = separation(noisy(0.5), LABELS, GROUPS)
    assert figures["within_cosine"] == pytest.approx(np.mean(pairs[True]))
    assert figures["between_cosine"] == pytest.approx(np.mean(pairs[False]))
    assert figures["cosine_gap"] == pytest.approx(np.mean(pairs[True]) - np.mean(pairs[False]))


def test_locality_is_the_separation_of_landmarks() -> None:
    both = locality(noisy(0.5), LABELS, GROUPS)
    assert {name: both[name] for name in separation(noisy(0.5), LABELS, GROUPS)} == separation(
        noisy(0.5), LABELS, GROUPS
    )


def test_a_patient_of_weight_0_is_not_there() -> None:
    weights = np.ones(18)
    weights[:3] = 0
    drawn = separation_statistic(noisy(0.5), LABELS, GROUPS)(weights)
    assert drawn == pytest.approx(separation(noisy(0.5)[3:], LABELS[3:], GROUPS[3:]))


def test_a_single_patient_has_no_pairs() -> None:
    figures = separation(noisy(0.5), LABELS, ["p"] * 18)
    assert all(math.isnan(figures[name]) for name in ("within_cosine", "between_cosine", "cosine_gap"))
    assert math.isfinite(figures["silhouette"])


def test_the_metric_gathers_batches() -> None:
    metric = Separation()
    for batch in torch.arange(18).split(7):
        metric(noisy(0.5)[batch], LABELS[batch], [GROUPS[number] for number in batch.tolist()])
    assert metric.aggregate() == pytest.approx(separation(noisy(0.5), LABELS, GROUPS))
    assert set(metric.intervals(Bootstrap(draws=5))) == set(metric.aggregate())


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (torch.zeros(4), torch.zeros(4), r"expected embeddings \(N, D\)"),
        (torch.zeros(4, 2), torch.zeros(3), r"expected labels \(N,\) of shape \(4\), got \(3,\)"),
        (torch.ones(4, 2), torch.full((4,), 7), r"labels must name at least 2 kinds to tell apart, got \[7\]"),
        (torch.full((4, 2), torch.nan), torch.arange(4), "embeddings must be finite, got 4 of 4"),
    ],
)
def test_ill_arguments(embeddings: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        separation(embeddings, labels)
