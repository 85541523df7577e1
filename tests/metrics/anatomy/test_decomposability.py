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

import pytest
import torch

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import Decomposability, decomposability, sibling_hits


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


PARTS = draw(50, 4, 16)


def test_a_perfect_decomposer_finds_every_part() -> None:
    figures = decomposability(3 * PARTS, PARTS)
    assert (figures["retrieval"], figures["chance"], figures["cosine"]) == (1, 0.25, 1)
    assert abs(figures["sibling_cosine"]) < 0.1
    assert figures["gap"] == figures["cosine"] - figures["sibling_cosine"]


def test_one_that_predicts_the_mean_of_the_siblings_is_at_chance_with_a_high_cosine() -> None:
    figures = decomposability(PARTS.mean(1, keepdim=True).expand_as(PARTS), PARTS)
    assert figures["retrieval"] == 0.25
    assert figures["cosine"] > 0.4
    assert figures["gap"] == pytest.approx(0, abs=1e-9)


def test_a_constant_and_a_random_one_are_at_chance() -> None:
    assert decomposability(torch.ones(50, 4, 16), torch.ones(50, 4, 16))["retrieval"] == 0.25
    assert decomposability(draw(50, 4, 16, seed=1), PARTS)["retrieval"] == pytest.approx(0.25, abs=0.1)


def test_hits_and_shared_places() -> None:
    parts = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]]])
    predicted = torch.tensor([[[0.1, 1.0], [0.0, 1.0], [1.0, 0.1]]])
    assert sibling_hits(predicted, parts).tolist() == [[0, 0.5, 0]]
    assert decomposability(predicted, parts)["retrieval"] == pytest.approx(1 / 6)


def test_cosines_equal_a_plain_loop() -> None:
    predicted, own, wrong = PARTS + draw(50, 4, 16, seed=1), [], []
    for whole in range(50):
        for p in range(4):
            for q in range(4):
                near = torch.nn.functional.cosine_similarity(predicted[whole, p], PARTS[whole, q], dim=0)
                (own if p == q else wrong).append(float(near))
    figures = decomposability(predicted, PARTS)
    assert figures["cosine"] == pytest.approx(sum(own) / len(own), abs=1e-6)
    assert figures["sibling_cosine"] == pytest.approx(sum(wrong) / len(wrong), abs=1e-6)


def test_the_metric_gathers_batches() -> None:
    metric, predicted = Decomposability(), PARTS + draw(50, 4, 16, seed=1)
    hits = [metric(predicted[batch], PARTS[batch], batch // 2) for batch in torch.arange(50).split(20)]
    assert torch.equal(torch.cat(hits), sibling_hits(predicted, PARTS))
    assert metric.aggregate() == decomposability(predicted, PARTS)
    assert metric.intervals(Bootstrap(draws=20))["chance"] == (0.25, 0.25)


@pytest.mark.parametrize(
    ("predicted", "parts", "message"),
    [
        ((2, 4, 3), (2, 4), r"expected parts \(N, P, D\)"),
        ((2, 3, 3), (2, 4, 3), r"expected predicted \(N, P, D\) of shape \(2, 4, 3\), got \(2, 3, 3\)"),
        ((2, 1, 3), (2, 1, 3), r"a part is found among at least 2 siblings, got parts of shape \(2, 1, 3\)"),
    ],
)
def test_ill_arguments(predicted: tuple, parts: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decomposability(torch.ones(predicted), torch.ones(parts))
