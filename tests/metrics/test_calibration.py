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

from monai_lamps.metrics import brier_score, reliability


def test_the_curve_tells_how_often_each_bin_came_true() -> None:
    curve = reliability([0.05, 0.15, 0.35, 1.0], [0, 1, 1, 1], bins=4)
    assert curve.weight.tolist() == [2, 1, 0, 1]
    np.testing.assert_allclose(curve.confidence, [0.1, 0.35, np.nan, 1.0])
    np.testing.assert_allclose(curve.frequency, [0.5, 1.0, np.nan, 1.0])
    assert curve.error == pytest.approx((2 * 0.4 + 0.65) / 4)


def test_weights_are_how_often_a_case_counts() -> None:
    p, y, counts = [0.2, 0.7, 0.9], [0, 1, 0], [2, 0, 3]
    repeated = [0.2, 0.2, 0.9, 0.9, 0.9], [0, 0, 0, 0, 0]
    assert brier_score(p, y, counts) == pytest.approx(brier_score(*repeated))
    assert reliability(p, y, counts).error == pytest.approx(reliability(*repeated).error)


def test_without_cases_nothing_is_defined() -> None:
    assert np.isnan(brier_score([], []))
    assert np.isnan(reliability([], []).error)


def test_ill_arguments() -> None:
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        reliability([0.5], [1], bins=0)
    with pytest.raises(ValueError, match=r"must all be \(n,\), got \(1,\), \(2,\) and \(1,\)"):
        brier_score([0.5], [1, 0])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got \[-3, 0.5\]; apply the activation"):
        brier_score([0.5, -3], [1, 0])
