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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import Locality, locality, locality_statistic

LANDMARKS, PATIENTS = 4, 12
LABELS = torch.arange(LANDMARKS * PATIENTS) % LANDMARKS
GROUPS = [f"p{number // LANDMARKS}" for number in range(LANDMARKS * PATIENTS)]


def noisy(spread: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0][:LANDMARKS]
    return centres[LABELS] + spread * torch.randn(len(LABELS), 16, generator=generator)


def test_a_perfect_encoder_has_perfect_figures() -> None:
    figures = locality(noisy(0), LABELS, GROUPS)
    assert figures == {
        "silhouette": pytest.approx(1),
        "davies_bouldin": pytest.approx(0, abs=1e-6),
        "knn_accuracy": 1,
        "knn_chance": 0.25,
        "within_cosine": pytest.approx(1),
        "between_cosine": pytest.approx(0, abs=1e-6),
        "cosine_gap": pytest.approx(1),
    }


def test_a_constant_encoder_knows_nothing() -> None:
    figures = locality(torch.full((len(LABELS), 16), 0.3), LABELS, GROUPS)
    assert figures["silhouette"] == 0
    assert math.isnan(figures["davies_bouldin"])
    assert figures["knn_accuracy"] == figures["knn_chance"] == 0.25
    assert (figures["within_cosine"], figures["cosine_gap"]) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_a_random_encoder_is_near_chance() -> None:
    figures = locality(torch.randn(len(LABELS), 16, generator=torch.Generator().manual_seed(1)), LABELS, GROUPS)
    assert abs(figures["silhouette"]) < 0.1
    assert figures["knn_accuracy"] < 0.45
    assert abs(figures["cosine_gap"]) < 0.05


def test_the_looks_of_a_radiograph_do_not_count() -> None:
    """An encoder that knows the patient and nothing else."""
    looks = torch.eye(16)[:PATIENTS].repeat_interleave(LANDMARKS, 0) + 0.01 * noisy(1)
    figures = locality(looks, LABELS, GROUPS)
    assert abs(figures["cosine_gap"]) < 0.01
    assert abs(figures["between_cosine"]) < 0.01


def test_more_noise_is_worse_in_every_figure() -> None:
    clear, faint = (locality(noisy(spread), LABELS, GROUPS) for spread in (0.15, 0.6))
    for name in ("silhouette", "knn_accuracy", "within_cosine", "cosine_gap"):
        assert clear[name] > faint[name]
    assert clear["davies_bouldin"] < faint["davies_bouldin"]


def test_cosines_equal_a_plain_loop_over_pairs_of_patients() -> None:
    vectors = torch.nn.functional.normalize(noisy(0.5).double(), dim=1)
    pairs: dict[bool, list[float]] = {True: [], False: []}
    for i in range(len(LABELS)):
        for j in range(len(LABELS)):
            if GROUPS[i] != GROUPS[j]:
                pairs[bool(LABELS[i] == LABELS[j])].append(float(vectors[i] @ vectors[j]))
    figures = locality(noisy(0.5), LABELS, GROUPS)
    assert figures["within_cosine"] == pytest.approx(np.mean(pairs[True]))
    assert figures["between_cosine"] == pytest.approx(np.mean(pairs[False]))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_neither_the_order_of_patches_nor_the_length_of_embeddings_matters(seed: int, factor: float) -> None:
    turn = torch.randperm(len(LABELS), generator=torch.Generator().manual_seed(seed))
    shuffled = locality(factor * noisy(0.5)[turn], LABELS[turn], [GROUPS[number] for number in turn.tolist()])
    assert shuffled == pytest.approx(locality(noisy(0.5), LABELS, GROUPS), abs=1e-6)


def test_a_patient_of_weight_0_is_not_there() -> None:
    weights = np.ones(len(LABELS))
    weights[:LANDMARKS] = 0
    drawn = locality_statistic(noisy(0.5), LABELS, GROUPS)(weights)
    rest = locality(noisy(0.5)[LANDMARKS:], LABELS[LANDMARKS:], GROUPS[LANDMARKS:])
    for name in set(rest) - {"knn_accuracy"}:  # who the neighbours are is held fixed
        assert drawn[name] == pytest.approx(rest[name])


def test_a_single_patient_leaves_undefined_what_needs_another() -> None:
    figures = locality(noisy(0.5), LABELS, ["p"] * len(LABELS))
    assert all(math.isnan(figures[name]) for name in ("knn_accuracy", "within_cosine", "cosine_gap"))
    assert math.isfinite(figures["silhouette"])


def test_the_metric_gathers_batches_and_forgets_them() -> None:
    metric, embeddings = Locality(neighbours=3), noisy(0.5)
    for batch in torch.arange(len(LABELS)).split(20):
        assert metric(embeddings[batch], LABELS[batch], [GROUPS[number] for number in batch.tolist()]) is None
    assert metric.aggregate() == pytest.approx(locality(embeddings, LABELS, GROUPS, neighbours=3))
    for name, (low, high) in metric.intervals(Bootstrap(draws=100)).items():
        assert low <= metric.aggregate()[name] + 0.05, name
        assert metric.aggregate()[name] - 0.05 <= high, name
    metric.reset()
    with pytest.raises(ValueError, match="Locality got no case to judge; call it with a batch first"):
        metric.aggregate()


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (torch.zeros(4), torch.zeros(4), r"expected embeddings \(N, D\)"),
        (torch.zeros(4, 2), torch.zeros(3), r"expected labels \(N,\) of shape \(4\), got \(3,\)"),
        (torch.ones(4, 2), torch.full((4,), 7), r"labels must name at least 2 landmarks to tell apart, got \[7\]"),
        (torch.full((4, 2), torch.nan), torch.arange(4), "embeddings must be finite, got 4 of 4"),
    ],
)
def test_ill_arguments(embeddings: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        locality(embeddings, labels)
