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

from monai_lamps.metrics import Ranking


def test_the_roc_curve_runs_from_corner_to_corner_and_ties_are_one_step() -> None:
    false, true = Ranking([0.9, 0.5, 0.5, 0.1], [True, True, False, False]).roc_curve(np.ones(4))
    assert false.tolist() == [0, 0, 0.5, 1]
    assert true.tolist() == [0, 0.5, 1, 1]


def test_without_one_kind_of_cases_nothing_is_defined() -> None:
    for positive in ([True, True], [False, False], []):
        ranking = Ranking(np.linspace(0, 1, len(positive)), positive)
        weights = np.ones(len(positive))
        assert np.isnan(ranking.roc_auc(weights))
        assert np.isnan(ranking.average_precision(weights))


def test_a_case_of_weight_zero_is_not_there() -> None:
    ranking = Ranking([0.9, 0.8, 0.1], [False, True, False])
    assert ranking.roc_auc(np.array([0.0, 1.0, 1.0])) == 1
    assert ranking.average_precision(np.array([0.0, 1.0, 1.0])) == 1
    assert ranking.roc_auc(np.ones(3)) == 0.5


def test_lengths_that_differ_are_named() -> None:
    with pytest.raises(ValueError, match=r"must both be \(n,\), got \(2,\) and \(3,\)"):
        Ranking([0.1, 0.2], [True, False, True])
