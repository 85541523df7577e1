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
from scipy import stats

from monai_lamps.metrics.anatomy import gaussian_density

VALUES = np.random.default_rng(0).normal(0.5, 0.1, 400)


def test_it_is_scipys_density() -> None:
    density = gaussian_density(VALUES)
    assert density.height == pytest.approx(stats.gaussian_kde(VALUES)(density.at))
    assert np.trapezoid(density.height, density.at) == pytest.approx(1, abs=1e-3)


def test_the_full_width_of_a_normal_density_is_that_of_the_textbook() -> None:
    quantiles = stats.norm.ppf((np.arange(2000) + 0.5) / 2000) * 0.1
    smoothed = np.sqrt(1 + 2000**-0.4) * 0.1
    assert gaussian_density(quantiles).full_width == pytest.approx(2 * np.sqrt(2 * np.log(2)) * smoothed, rel=0.01)


def test_of_two_peaks_the_width_spans_both() -> None:
    values = np.concatenate([VALUES / 10, VALUES / 10 + 5])
    assert 4.5 < gaussian_density(values).full_width < 9


def test_weights_repeat_values() -> None:
    weights = np.arange(400) % 3
    weighted, repeated = gaussian_density(VALUES, weights), gaussian_density(np.repeat(VALUES, weights))
    assert weighted.height == pytest.approx(repeated.height)
    assert weighted.full_width == pytest.approx(repeated.full_width)


@pytest.mark.parametrize("values", [[1.0], [0.25] * 9])
def test_values_without_spread_are_a_spike(values: list[float]) -> None:
    assert gaussian_density(values).full_width == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": []}, "a density needs at least one value, all of them finite, got 0 values"),
        ({"values": [1.0, np.nan]}, "all of them finite, got 2 values"),
        ({"values": [1.0], "weights": [1.0, 2.0]}, r"values and weights must both be \(n,\), got \(1,\) and \(2,\)"),
        ({"values": [1.0], "points": 3}, "points must be at least 16, got 3"),
    ],
)
def test_ill_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gaussian_density(**arguments)
