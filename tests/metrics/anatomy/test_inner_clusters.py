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
from monai_lamps.metrics.anatomy import InnerClusters, inner_clusters, inner_clusters_statistic, separation

#: two organs in eight patients each, seen from the left and from the right; a third organ from one side alone
ORGAN = torch.tensor([0] * 8 + [1] * 8 + [2] * 4)
SIDE = torch.tensor([0, 1] * 8 + [0] * 4)
PATIENT = [f"p{number}" for number in range(20)]


def seen(sides: float, spread: float = 0.05) -> torch.Tensor:
    """Embeddings with an axis for each organ, and the side on an axis of the organ's own."""
    generator = torch.Generator().manual_seed(0)
    made = torch.nn.functional.one_hot(ORGAN, 6).float() + spread * torch.randn(20, 6, generator=generator)
    made[torch.arange(20), 3 + ORGAN] += sides * (2 * SIDE - 1)
    return made


def test_islands_inside_every_organ_are_found() -> None:
    figures = inner_clusters(seen(1), ORGAN, SIDE, PATIENT)
    assert figures["knn_accuracy"] == figures["knn_accuracy/0"] == figures["knn_accuracy/1"] == 1
    assert figures["silhouette"] > 0.8
    assert figures["knn_chance"] == 0.5
    assert {name.split("/")[1] for name in figures if "/" in name} == {"0", "1"}  # the third has one side


def test_an_encoder_of_organs_alone_is_at_chance_inside_them() -> None:
    generator = torch.Generator().manual_seed(1)
    organ, side = torch.arange(400) % 2, (torch.arange(400) // 2) % 2
    made = torch.nn.functional.one_hot(organ, 8) + 0.3 * torch.randn(400, 8, generator=generator)
    figures = inner_clusters(made, organ, side)
    assert abs(figures["silhouette"]) < 0.02
    assert figures["knn_accuracy"] == pytest.approx(0.5, abs=0.08)


def test_every_organ_is_judged_by_itself() -> None:
    """The side of one organ lies where the other side of another does."""
    twisted = seen(1)
    twisted[ORGAN == 1] = twisted[ORGAN == 0].flip(0)
    figures = inner_clusters(twisted, ORGAN, torch.where(ORGAN == 1, SIDE.flip(0).roll(4), SIDE), PATIENT)
    assert figures["knn_accuracy"] == 1
    only = ORGAN == 0
    alone = separation(seen(1)[only], SIDE[only], PATIENT[:8])["silhouette"]
    assert figures["silhouette/0"] == pytest.approx(alone)
    assert figures["silhouette"] == pytest.approx((figures["silhouette/0"] + figures["silhouette/1"]) / 2)


def test_what_is_not_known_or_known_of_one_patient_is_left_out() -> None:
    side = SIDE.clone()
    side[8:16] = torch.tensor([0, 0, 0, 0, -1, -1, 1, -1])  # of the second organ one patient from the right
    figures = inner_clusters(seen(1), ORGAN, side, PATIENT)
    assert {name.split("/")[1] for name in figures if "/" in name} == {"0"}
    assert figures["silhouette"] == figures["silhouette/0"]


def test_neighbours_are_of_other_patients() -> None:
    """An encoder that knows the patient, of whom both sides are there."""
    organ, side = torch.tensor([0] * 12), torch.arange(12) % 2
    patient = torch.arange(12) // 2
    looks = torch.eye(6)[patient]
    assert inner_clusters(looks, organ, side, patient, neighbours=1)["knn_accuracy"] == pytest.approx(0.5)


def test_a_draw_without_an_organ_judges_the_others() -> None:
    statistic = inner_clusters_statistic(seen(1), ORGAN, SIDE, PATIENT)
    figures = statistic((ORGAN == 0).double().numpy())
    assert math.isnan(figures["knn_accuracy/1"])
    assert figures["knn_accuracy"] == figures["knn_accuracy/0"] == 1
    assert all(math.isnan(value) for value in statistic((ORGAN == 2).double().numpy()).values())


def test_the_metric_gathers_batches() -> None:
    metric = InnerClusters(neighbours=3)
    for batch in torch.arange(20).split(7):
        metric(seen(0.2)[batch], ORGAN[batch], SIDE[batch], [PATIENT[number] for number in batch.tolist()])
    assert metric.aggregate() == pytest.approx(inner_clusters(seen(0.2), ORGAN, SIDE, PATIENT, 3))
    assert np.isfinite(metric.intervals(Bootstrap(draws=20))["silhouette"]).all()


def test_without_two_sides_of_an_organ_nothing_is_defined() -> None:
    figures = inner_clusters(seen(1), ORGAN, torch.zeros(20, dtype=torch.int64), PATIENT)
    assert set(figures) == {"silhouette", "knn_accuracy", "knn_chance"}
    assert all(math.isnan(value) for value in figures.values())


def test_ill_arguments() -> None:
    with pytest.raises(ValueError, match=r"expected inner \(N,\) of shape \(20\), got \(3,\)"):
        inner_clusters(seen(1), ORGAN, SIDE[:3], PATIENT)
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        inner_clusters(seen(1), ORGAN, SIDE, PATIENT, 0)
    with pytest.raises(ValueError, match="embeddings must be finite, got 20 of 20"):
        inner_clusters(seen(1) / 0, ORGAN, SIDE, PATIENT)
