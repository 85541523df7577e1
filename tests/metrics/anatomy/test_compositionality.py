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
from monai_lamps.metrics.anatomy import (
    Compositionality,
    compositionality,
    compositionality_statistic,
    part_cosines,
    shuffled_cosines,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


PARTS = draw(60, 4, 32)
GROUPS = [f"p{number // 3}" for number in range(60)]


def test_an_encoder_whose_wholes_are_the_sum_of_their_parts_is_perfect() -> None:
    figures = compositionality(2 * PARTS.sum(1), PARTS, GROUPS)
    assert (figures["mean"], figures["sd"], figures["above_control"]) == (1, 0, 1)
    assert figures["full_width"] == pytest.approx(0, abs=1e-5)
    assert abs(figures["control_mean"]) < 0.1


def test_a_constant_encoder_is_told_from_a_perfect_one_by_its_control() -> None:
    figures = compositionality(torch.ones(60, 32), torch.ones(60, 4, 32), GROUPS)
    assert (figures["mean"], figures["sd"]) == (1, 0)
    assert (figures["control_mean"], figures["gap"], figures["above_control"]) == (1, 0, 0.5)


def test_a_random_encoder_is_near_0() -> None:
    figures = compositionality(draw(60, 32, seed=1), PARTS, GROUPS)
    assert abs(figures["mean"]) < 0.1
    assert abs(figures["gap"]) < 0.1
    assert 0.3 < figures["above_control"] < 0.7
    assert figures["sd"] == pytest.approx(1 / math.sqrt(32), rel=0.25)
    assert figures["full_width"] == pytest.approx(2.355 * figures["sd"], rel=0.35)


def test_cosines_equal_a_plain_loop() -> None:
    whole = draw(60, 32, seed=1)
    expected = [
        torch.nn.functional.cosine_similarity(one.double(), sum(part.double() for part in parts), dim=0)
        for one, parts in zip(whole, PARTS)
    ]
    torch.testing.assert_close(part_cosines(whole, PARTS), torch.stack(expected), atol=1e-8, rtol=0)


def test_control_parts_come_from_other_patients_only_and_the_seed_decides() -> None:
    patient = torch.arange(60) // 30
    whole = torch.eye(2)[patient]
    parts = whole[:, None].repeat(1, 3, 1)
    assert (part_cosines(whole, parts) == 1).all()
    assert (shuffled_cosines(whole, parts, patient) == 0).all()
    many = [shuffled_cosines(draw(60, 32), PARTS, GROUPS, seed) for seed in (0, 0, 1)]
    assert torch.equal(many[0], many[1])
    assert not torch.equal(many[0], many[2])


def test_control_parts_keep_their_number() -> None:
    """An encoder that knows which part it sees, and not of whom, gains nothing over its control."""
    parts = torch.eye(4)[None].repeat(60, 1, 1)
    assert compositionality(torch.ones(60, 4), parts, GROUPS)["gap"] == 0


def test_without_a_second_patient_there_is_no_control() -> None:
    figures = compositionality(PARTS.sum(1), PARTS, ["p"] * 60)
    assert figures["mean"] == 1
    assert all(math.isnan(figures[name]) for name in ("control_mean", "gap", "above_control"))


def test_a_patch_of_weight_0_is_not_there() -> None:
    weights, whole = np.ones(60), draw(60, 32, seed=1)
    weights[30:] = 0
    drawn, rest = compositionality_statistic(whole, PARTS, GROUPS)(weights), compositionality(whole[:30], PARTS[:30])
    for name in ("mean", "sd", "full_width"):
        assert drawn[name] == pytest.approx(rest[name])


def test_the_metric_gathers_batches() -> None:
    metric, whole = Compositionality(seed=3), PARTS.sum(1) + draw(60, 32, seed=1)
    found = [
        metric(whole[batch], PARTS[batch], [GROUPS[number] for number in batch.tolist()])
        for batch in torch.arange(60).split(25)
    ]
    assert torch.equal(torch.cat(found), part_cosines(whole, PARTS))
    assert metric.aggregate() == compositionality(whole, PARTS, GROUPS, seed=3)
    low, high = metric.intervals(Bootstrap(draws=50))["mean"]
    assert low < metric.aggregate()["mean"] < high


@pytest.mark.parametrize(
    ("whole", "parts", "message"),
    [
        (torch.ones(3), torch.ones(3, 2, 4), r"expected whole \(N, D\)"),
        (torch.ones(3, 4), torch.ones(3, 2, 5), r"expected parts \(N, P, D\) of shape \(3, \*, 4\), got \(3, 2, 5\)"),
        (torch.ones(0, 4), torch.ones(0, 2, 4), "compositionality got no case to judge; check the list of images"),
        (torch.ones(1, 4), torch.full((1, 2, 4), torch.inf), "parts must be finite, got 2 of 2 vectors"),
    ],
)
def test_ill_arguments(whole: torch.Tensor, parts: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compositionality(whole, parts)
