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
from scipy import stats

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.evidence import EvidenceCorrelation, evidence_correlation, evidence_correlation_statistic


def test_evidence_that_grows_with_the_prediction_correlates_whatever_the_scale() -> None:
    probabilities = torch.tensor([0.1, 0.9, 0.5, 0.3])
    assert evidence_correlation(probabilities, probabilities.double() ** 7 * 1e-6) == pytest.approx(1)
    assert evidence_correlation(probabilities, -probabilities) == pytest.approx(-1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_weights_count_images_as_often_as_they_say(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.integers(0, 5, 12) / 5, random.integers(0, 7, 12) / 7
    weights = random.integers(0, 4, 12)
    expected = stats.spearmanr(first.repeat(weights), second.repeat(weights)).statistic
    statistic = evidence_correlation_statistic(torch.tensor(first), torch.tensor(second))
    assert statistic(weights.astype(float))["evidence_correlation"] == pytest.approx(expected, nan_ok=True)


def test_it_is_not_defined_for_two_images_or_for_maps_that_are_all_alike() -> None:
    assert math.isnan(evidence_correlation(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2])))
    nearly = torch.tensor([0.1, 0.1 + 1e-15, 0.1 - 1e-15, 0.1], dtype=torch.float64)
    assert math.isnan(evidence_correlation(torch.rand(4), nearly))
    assert math.isnan(evidence_correlation(torch.rand(4), torch.zeros(4)))


def test_batches_are_put_together_and_have_an_interval() -> None:
    probabilities = torch.rand(20, generator=torch.Generator().manual_seed(0))
    masses = probabilities + torch.rand(20, generator=torch.Generator().manual_seed(1))
    metric = EvidenceCorrelation()
    for part in (slice(0, 7), slice(7, 20)):
        metric(probabilities[part], masses[part], list(range(20))[part])
    value = metric.aggregate()["evidence_correlation"]
    assert value == pytest.approx(stats.spearmanr(probabilities, masses).statistic)
    low, high = metric.intervals(Bootstrap(draws=100))["evidence_correlation"]
    assert low < value < high


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match=r"must both be finite and \(N,\), got \(4,\) and \(3,\)"):
        evidence_correlation(torch.rand(4), torch.rand(3))
    with pytest.raises(ValueError, match="must both be finite"):
        evidence_correlation(torch.rand(3), torch.tensor([0.1, math.nan, 0.2]))
