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

from itertools import combinations

import numpy as np
import pytest
import torch

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import ScaleConsistency, scale_consistency, scale_consistency_statistic


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


CENTRES = draw(40, 1, 16)


def test_an_encoder_that_knows_the_centre_is_perfect() -> None:
    figures = scale_consistency(CENTRES * torch.tensor([1.0, 2.0, 3.0])[:, None])
    assert figures["cosine"] == figures["cosine/0-1"] == figures["cosine/0-2"] == figures["cosine/1-2"] == 1
    assert (figures["retrieval"], figures["chance"]) == (1, 1 / 40)
    assert abs(figures["control_cosine"]) < 0.1


def test_a_constant_and_a_random_encoder_are_at_chance() -> None:
    constant = scale_consistency(torch.ones(40, 3, 16))
    assert (constant["cosine"], constant["retrieval"]) == (1, pytest.approx(1 / 40))
    assert constant["gap"] == pytest.approx(0, abs=1e-9)
    random = scale_consistency(draw(40, 3, 16))
    assert abs(random["gap"]) < 0.1
    assert random["retrieval"] < 0.1


def test_an_encoder_that_knows_the_scale_alone_does_not_find_the_centre() -> None:
    figures = scale_consistency(torch.eye(3)[None].repeat(40, 1, 1))
    assert (figures["cosine"], figures["gap"]) == (0, 0)
    assert figures["retrieval"] == pytest.approx(1 / 40)


def test_cosines_equal_a_plain_loop_with_weights() -> None:
    embeddings, weights = CENTRES + draw(40, 3, 16, seed=1), np.arange(40) % 3.0
    vectors = torch.nn.functional.normalize(embeddings.double(), dim=2)
    own, control = [], []
    for s, t in combinations(range(3), 2):
        cosines = (vectors[:, s] @ vectors[:, t].T).numpy()
        pairs = np.outer(weights, weights)
        own.append((np.diag(cosines) * weights).sum() / weights.sum())
        np.fill_diagonal(pairs, 0)
        control.append((cosines * pairs).sum() / pairs.sum())
    figures = scale_consistency_statistic(embeddings)(weights)
    assert figures["cosine"] == pytest.approx(np.mean(own))
    assert figures["cosine/0-2"] == pytest.approx(own[1])
    assert figures["control_cosine"] == pytest.approx(np.mean(control))
    assert figures["gap"] == pytest.approx(np.mean(own) - np.mean(control))


def test_retrieval_is_the_mean_of_both_directions() -> None:
    embeddings = torch.tensor([[[1.0, 0.0], [0.9, 0.2]], [[0.0, 1.0], [0.8, 0.6]]])
    # from the first scale both are found; from the second one the second centre is taken for the first
    assert scale_consistency(embeddings)["retrieval"] == 0.75


def test_a_draw_of_a_single_centre_has_no_control() -> None:
    figures = scale_consistency_statistic(CENTRES.repeat(1, 2, 1))(np.eye(40)[0] * 40)
    assert figures["cosine"] == 1
    assert np.isnan(figures["control_cosine"])


def test_the_metric_gathers_batches() -> None:
    metric, embeddings = ScaleConsistency(), CENTRES + 0.5 * draw(40, 3, 16, seed=1)
    for batch in torch.arange(40).split(15):
        metric(embeddings[batch], [f"p{number // 2}" for number in batch.tolist()])
    assert metric.aggregate() == pytest.approx(scale_consistency(embeddings))
    low, high = metric.intervals(Bootstrap(draws=50))["gap"]
    assert 0 < low < metric.aggregate()["gap"] < high


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 3), r"expected embeddings \(N, S, D\)"),
        ((1, 3, 2), "needs at least 2 centres and 2 scales, got 1 and 3"),
        ((5, 1, 2), "needs at least 2 centres and 2 scales, got 5 and 1"),
    ],
)
def test_ill_arguments(shape: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scale_consistency(torch.ones(shape))
