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
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import Retrieval, retrieval, retrieval_statistic

ORGANS, PATIENTS = 3, 8
LABELS = torch.arange(ORGANS * PATIENTS) % ORGANS
GROUPS = [f"p{number // ORGANS}" for number in range(ORGANS * PATIENTS)]


def noisy(spread: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0][:ORGANS]
    return centres[LABELS] + spread * torch.randn(len(LABELS), 8, generator=generator)


def angles(*degrees: float) -> torch.Tensor:
    turn = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([turn.cos(), turn.sin()], dim=1)


def plain(embeddings: torch.Tensor, labels: list[int], groups: list[str], k: int) -> dict[str, float]:
    """The figures by loops, for embeddings without ties."""
    vectors = torch.nn.functional.normalize(embeddings.double(), dim=1)
    found: dict[str, dict[int, list[float]]] = {name: {} for name in (f"precision_{k}", f"hit_{k}", "map", "chance")}
    for i, label in enumerate(labels):
        others = [j for j in range(len(labels)) if groups[j] != groups[i]]
        others.sort(key=lambda j: -float(vectors[i] @ vectors[j]))
        same = [labels[j] == label for j in others]
        if not any(same):
            continue
        steps = [sum(same[: n + 1]) / (n + 1) for n in range(len(same)) if same[n]]
        for name, value in zip(found, (sum(same[:k]) / k, any(same[:k]), np.mean(steps), np.mean(same))):
            found[name].setdefault(label, []).append(float(value))
    return {name: float(np.mean([np.mean(values) for values in each.values()])) for name, each in found.items()}


def test_a_perfect_encoder_finds_every_organ() -> None:
    figures = retrieval(noisy(0), LABELS, GROUPS)
    for name in ("precision_1", "precision_5", "hit_5", "hit_10", "map", "knn_accuracy", "knn_accuracy/2"):
        assert figures[name] == pytest.approx(1), name
    assert figures["precision_10"] == pytest.approx(7 / 10)  # seven others show it
    assert figures["chance"] == pytest.approx(1 / 3)
    assert figures["knn_chance"] == pytest.approx(1 / 3)


def test_a_constant_encoder_reaches_chance_in_every_figure() -> None:
    figures = retrieval(torch.full((len(LABELS), 8), 0.3), LABELS, GROUPS)
    for name in ("precision_1", "precision_5", "precision_10", "map"):
        assert figures[name] == pytest.approx(figures["chance"]), name
    for k in (5, 10):
        assert figures[f"hit_{k}"] == pytest.approx(figures[f"hit_{k}_chance"])
    assert figures["knn_accuracy"] == pytest.approx(figures["knn_chance"])


def test_the_looks_of_a_patient_do_not_count() -> None:
    """An encoder that knows the patient and nothing else."""
    looks = torch.eye(PATIENTS).repeat_interleave(ORGANS, 0) + 0.01 * noisy(1)
    assert retrieval(looks, LABELS, GROUPS)["precision_5"] < 0.6
    assert retrieval(looks, LABELS)["map"] < 0.55


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6))
def test_figures_equal_plain_loops(seed: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3]  # the last is alone
    groups = [str(number // 2) for number in range(11)]
    embeddings = torch.randn(11, 5, generator=generator)
    figures = retrieval(embeddings, torch.tensor(labels), groups, ks=(k,))
    for name, value in plain(embeddings, labels, groups, k).items():
        assert figures[name] == pytest.approx(value), name


def test_equal_similarities_give_the_mean_over_all_their_orders() -> None:
    vectors = angles(0, 20, 20, 20, 20, 70)
    labels = torch.tensor([0, 0, 1, 1, 0, 0])
    figures = retrieval_statistic(vectors, labels, ks=(3,), neighbours=1)(np.array([1.0, 0, 0, 0, 0, 0]))
    orders = [order[:3] for order in permutations([True, False, False, True])]
    assert figures["precision_3"] == pytest.approx(np.mean([np.mean(order) for order in orders]))
    orders = [order[:2] for order in permutations([True, False, False, True])]
    pair = retrieval_statistic(vectors, labels, ks=(2,), neighbours=1)(np.array([1.0, 0, 0, 0, 0, 0]))
    assert pair["hit_2"] == pytest.approx(np.mean([any(order) for order in orders]))
    assert pair["hit_2_chance"] == pytest.approx(1 - (2 * 1) / (5 * 4))  # three of the five others are of its label


def test_a_frequent_organ_does_not_decide() -> None:
    """Nine of one organ are all found, three of another never."""
    first, *others = torch.eye(4)
    vectors = torch.stack([first] * 9 + [0.5 * first + other for other in others])
    labels = torch.tensor([0] * 9 + [1] * 3)
    figures = retrieval(vectors, labels, ks=(1,), neighbours=1)
    assert figures["precision_1"] == pytest.approx((1 + 0) / 2)
    assert (figures["knn_accuracy/0"], figures["knn_accuracy/1"]) == (1, 0)
    assert figures["knn_accuracy"] == 0.5


def test_organs_that_were_never_seen_are_looked_up_among_all() -> None:
    embeddings = noisy(0.4)
    embeddings[LABELS == 2] = embeddings[LABELS == 1]  # the encoder takes one organ for another
    asked = retrieval(embeddings, LABELS, GROUPS, of=[2])
    everything = retrieval(embeddings, LABELS, GROUPS)
    assert asked["knn_accuracy/2"] == asked["knn_accuracy"] == everything["knn_accuracy/2"]
    assert set(everything) - set(asked) == {"knn_accuracy/0", "knn_accuracy/1"}
    assert asked["precision_1"] < 0.9
    assert asked["knn_chance"] == pytest.approx(1 / 3)


def test_an_organ_of_a_single_patient_is_left_out_but_may_mislead() -> None:
    embeddings, labels = noisy(0), LABELS.clone()
    labels[0] = 7
    figures = retrieval(embeddings, labels, GROUPS, ks=(1,), neighbours=1)
    assert math.isnan(figures["knn_accuracy/7"])
    assert figures["precision_1"] < 1  # it lies among those of its former label
    assert retrieval(embeddings, labels, GROUPS, of=[1, 2])["precision_1"] == pytest.approx(1)


def test_nothing_is_defined_for_a_single_patient() -> None:
    figures = retrieval(noisy(0.5), LABELS, ["p"] * len(LABELS))
    assert all(math.isnan(value) for name, value in figures.items() if name != "knn_chance")


def test_weights_are_those_of_the_cases_that_are_looked_up() -> None:
    """A patient of weight 0 is not looked up, but may be found."""
    embeddings, weights = noisy(0.8), np.ones(len(LABELS))
    weights[:ORGANS] = 0
    drawn = retrieval_statistic(embeddings, LABELS, GROUPS, ks=(1,))(weights)
    hits = [
        [
            retrieval_statistic(embeddings, LABELS, GROUPS, ks=(1,))(np.eye(len(LABELS))[case])["precision_1"]
            for case in range(ORGANS, len(LABELS))
            if LABELS[case] == label
        ]
        for label in range(ORGANS)
    ]
    assert drawn["precision_1"] == pytest.approx(np.mean([np.mean(each) for each in hits]))


def test_the_metric_gathers_batches_and_forgets_them() -> None:
    metric, embeddings = Retrieval(ks=(1, 3), neighbours=3, of=[0, 1]), noisy(0.5)
    for batch in torch.arange(len(LABELS)).split(10):
        assert metric(embeddings[batch], LABELS[batch], [GROUPS[number] for number in batch.tolist()]) is None
    expected = retrieval(embeddings, LABELS, GROUPS, ks=(1, 3), neighbours=3, of=[0, 1])
    assert metric.aggregate() == pytest.approx(expected)
    low, high = metric.intervals(Bootstrap(draws=50))["map"]
    assert low <= expected["map"] <= high
    metric.reset()
    with pytest.raises(ValueError, match="Retrieval got no case to judge"):
        metric.aggregate()


@pytest.mark.parametrize(
    ("embeddings", "labels", "options", "message"),
    [
        (torch.zeros(4), torch.zeros(4), {}, r"expected embeddings \(N, D\)"),
        (torch.zeros(4, 2), torch.zeros(3), {}, r"expected labels \(N,\) of shape \(4\), got \(3,\)"),
        (torch.ones(4, 2), torch.full((4,), 7), {}, r"labels must name at least 2 kinds to tell apart, got \[7\]"),
        (torch.full((4, 2), torch.nan), torch.arange(4), {}, "embeddings must be finite, got 4 of 4"),
        (torch.ones(4, 2), torch.arange(4), {"ks": []}, r"ks must be different numbers .* got \[\]; e.g. \[1, 5, 10\]"),
        (torch.ones(4, 2), torch.arange(4), {"ks": [0]}, r"ks must be different numbers .* got \[0\]"),
        (torch.ones(4, 2), torch.arange(4), {"ks": [3, 3]}, r"ks must be different numbers .* got \[3, 3\]"),
        (torch.ones(4, 2), torch.arange(4), {"of": [9]}, r"of must hold some of the labels \[0, 1, 2, 3\], got \[9\]"),
        (torch.ones(4, 2), torch.arange(4), {"of": []}, r"of must hold some of the labels .* leave it out for all"),
        (torch.ones(4, 2), torch.arange(4), {"neighbours": 0}, "neighbours must be at least 1, got 0"),
    ],
)
def test_ill_arguments(embeddings: torch.Tensor, labels: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(embeddings, labels, **options)
