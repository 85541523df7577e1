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

from monai_lamps.metrics.anatomy.ridge import out_of_fold, patient_folds, ridge_predictions


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("width", [5, 60])
def test_the_penalty_and_the_answer_are_those_of_a_plain_search(width: int) -> None:
    inputs, asked = draw(30, width), draw(7, width, seed=1)
    targets = inputs[:, :2] + 0.5 * draw(30, 2, seed=2)
    x, y = inputs - inputs.mean(0), targets - targets.mean(0)
    size = torch.linalg.matrix_norm(x) ** 2 / min(30, width)  # mean squared singular value
    found = []
    for power in range(-4, 5):
        inverse = torch.linalg.inv(x.T @ x + 10.0**power * size * torch.eye(width, dtype=torch.float64))
        hat = x @ inverse @ x.T
        score = ((y - hat @ y) ** 2).sum() / (30 - 1 - hat.trace()) ** 2
        found.append((float(score), (asked - inputs.mean(0)) @ inverse @ x.T @ y + targets.mean(0)))
    torch.testing.assert_close(ridge_predictions(inputs, targets, asked), min(found, key=lambda pair: pair[0])[1])


def test_a_linear_rule_is_learnt_whatever_the_scale() -> None:
    inputs, rule = draw(200, 6), draw(6, 2, seed=1)
    for scale in (1e-3, 1e3):
        predicted = ridge_predictions(scale * inputs[:150], inputs[:150] @ rule, scale * inputs[150:])
        torch.testing.assert_close(predicted, inputs[150:] @ rule, atol=2e-3, rtol=0)


def test_inputs_without_spread_predict_the_mean() -> None:
    targets = draw(10, 2)
    predicted = ridge_predictions(torch.ones(10, 4, dtype=torch.float64), targets, draw(3, 4))
    torch.testing.assert_close(predicted, targets.mean(0).expand(3, 2))


def test_folds_hold_whole_patients_and_nearly_as_many_each() -> None:
    groups = torch.arange(52) // 4
    folds = patient_folds(groups, 5)
    assert all(len(folds[groups == patient].unique()) == 1 for patient in range(13))
    patients = torch.bincount(folds[::4])
    assert sorted(patients.tolist()) == [2, 2, 3, 3, 3]
    assert not torch.equal(folds, patient_folds(groups, 5, seed=1))
    assert patient_folds(torch.tensor([0, 1, 1]), 5).unique().tolist() == [0, 1]


def test_no_case_is_seen_by_its_own_regression() -> None:
    inputs, targets, folds = draw(30, 4), draw(30, 2, seed=1), torch.arange(30) % 3
    predicted, level = out_of_fold(inputs, targets, folds)
    own = folds == 1
    torch.testing.assert_close(predicted[own], ridge_predictions(inputs[~own], targets[~own], inputs[own]))
    torch.testing.assert_close(level[own], targets[~own].mean(0).expand(10, 2))


@pytest.mark.parametrize(
    ("groups", "folds", "message"),
    [
        (torch.arange(4), 1, "folds must be at least 2, got 1; 5 is usual"),
        (torch.zeros(4, dtype=torch.int64), 5, "folds need at least 2 patients, got 1"),
        (torch.zeros(0, dtype=torch.int64), 5, "folds need at least 2 patients, got 0"),
    ],
)
def test_ill_folds(groups: torch.Tensor, folds: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        patient_folds(groups, folds)
