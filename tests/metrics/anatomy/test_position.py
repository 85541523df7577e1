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

import numpy as np
import pytest
import torch

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import Position, groups_of, position, position_statistic
from monai_lamps.metrics.anatomy.ridge import out_of_fold, patient_folds

PATIENTS, SIDE = 10, 6
AXIS = (torch.arange(SIDE) + 0.5) / SIDE
PLACES = torch.cartesian_prod(AXIS, AXIS).repeat(PATIENTS, 1)  # (360, 2)
GROUPS = [f"p{number // SIDE**2}" for number in range(len(PLACES))]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_an_encoder_of_places_is_read_perfectly() -> None:
    figures = position(PLACES @ draw(2, 8) + 1, PLACES, GROUPS, grid=3)
    assert figures["r2"] == pytest.approx(1, abs=1e-4)
    assert figures["error"] == pytest.approx(0, abs=0.01)
    bowl = torch.cat([PLACES, (PLACES - 0.5).norm(dim=1, keepdim=True), torch.ones(len(PLACES), 1)], 1)
    assert position(bowl, PLACES, GROUPS, grid=3)["cell_accuracy"] == 1
    assert figures["cell_chance"] == pytest.approx(1 / 9)


def test_a_constant_encoder_is_at_chance() -> None:
    figures = position(torch.ones(len(PLACES), 8), PLACES, GROUPS, grid=3)
    assert figures["r2"] == figures["r2_x"] == figures["r2_y"] == pytest.approx(0, abs=1e-9)
    assert figures["error"] == pytest.approx(figures["error_chance"])
    assert figures["cell_accuracy"] == pytest.approx(figures["cell_chance"])
    expected = (PLACES - 0.5).norm(dim=1).mean()  # every patient has the same places
    assert figures["error_chance"] == pytest.approx(float(expected))


@pytest.mark.parametrize("blind", [draw(len(PLACES), 8), torch.eye(PATIENTS).repeat_interleave(SIDE**2, 0)])
def test_neither_noise_nor_the_patient_tells_the_place(blind: torch.Tensor) -> None:
    figures = position(blind, PLACES, GROUPS)
    assert figures["r2"] < 0.05
    assert figures["error"] > 0.95 * figures["error_chance"]
    assert figures["cell_accuracy"] < 2 * figures["cell_chance"]


def test_axes_are_told_apart_and_may_be_three() -> None:
    places = torch.cat([PLACES, PLACES[:, :1].flip(0)], 1)
    figures = position(PLACES[:, :1] * draw(1, 4) + 0.01 * draw(len(PLACES), 4), places, GROUPS)
    assert figures["r2_x"] > 0.95
    assert figures["r2_y"] < 0.05
    assert figures["r2"] == pytest.approx((figures["r2_x"] + figures["r2_y"] + figures["r2_z"]) / 3)


def test_r2_and_error_follow_their_definition() -> None:
    embeddings = PLACES @ draw(2, 8) + 0.5 * draw(len(PLACES), 8, seed=1)
    folds = patient_folds(groups_of(GROUPS, len(PLACES)), 4, seed=2)
    predicted, _ = out_of_fold(embeddings.double(), PLACES.double(), folds)
    wrong = predicted - PLACES
    figures = position(embeddings, PLACES, GROUPS, folds=4, seed=2)
    assert figures["r2_y"] == pytest.approx(
        float(1 - (wrong[:, 1] ** 2).mean() / PLACES[:, 1].double().var(correction=0))
    )
    assert figures["error"] == pytest.approx(float(wrong.norm(dim=1).mean()))


def test_an_axis_without_spread_has_no_r2() -> None:
    places = PLACES.clone()
    places[:, 1] = 0.5
    figures = position(PLACES @ draw(2, 8), places, GROUPS)
    assert figures["r2_x"] > 0.9
    assert np.isnan(figures["r2_y"])


def test_draws_weigh_the_answers() -> None:
    weights = np.ones(len(PLACES))
    weights[: SIDE**2] = 3
    embeddings = PLACES @ draw(2, 8) + 0.5 * draw(len(PLACES), 8, seed=1)
    statistic = position_statistic(embeddings, PLACES, GROUPS)
    first, rest = (statistic(np.where(weights == value, 1.0, 0.0))["error"] for value in (3, 1))
    assert statistic(weights)["error"] == pytest.approx((3 * first + 9 * rest) / 12)


def test_the_metric_gathers_batches_in_any_order() -> None:
    metric = Position(folds=4, grid=3, neighbours=3, seed=1)
    embeddings = PLACES @ draw(2, 8) + 0.5 * draw(len(PLACES), 8, seed=1)
    turn = torch.randperm(len(PLACES), generator=torch.Generator().manual_seed(0))
    for batch in turn.split(100):
        metric(embeddings[batch], PLACES[batch], [GROUPS[number] for number in batch.tolist()])
    expected = position(embeddings, PLACES, GROUPS, folds=4, grid=3, neighbours=3, seed=1)
    assert metric.aggregate() == pytest.approx(expected)
    low, high = metric.intervals(Bootstrap(draws=50))["r2"]
    assert low < expected["r2"] < high


@pytest.mark.parametrize(
    ("positions", "arguments", "message"),
    [
        (torch.zeros(3, 2), {}, r"expected positions \(N, A\) of shape \(4, \*\), got \(3, 2\)"),
        (torch.zeros(4, 4), {}, r"positions must have 1 to 3 axes \(x, y, z\), got shape \(4, 4\)"),
        (torch.full((4, 2), 17.0), {}, r"positions must lie in \[0, 1\], got \[17, 17\]; divide px"),
        (torch.zeros(4, 2), {"grid": 0}, "grid must be at least 1 cell a side, got 0"),
        (torch.zeros(4, 2), {"folds": 1}, "folds must be at least 2, got 1"),
        (torch.zeros(4, 2), {"groups": ["p"] * 4}, "folds need at least 2 patients, got 1"),
    ],
)
def test_ill_arguments(positions: torch.Tensor, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        position(draw(4, 3), positions, **arguments)
