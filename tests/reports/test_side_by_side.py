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

from monai_lamps.metrics import Bootstrap, Statistic
from monai_lamps.reports import Entry, csv_table, side_by_side

VALUES = np.random.default_rng(0).normal(size=40)
PATIENTS = list(range(40))


def _mean(values: np.ndarray, *others: str) -> Statistic:
    return lambda weights: {"mean": float(weights @ values / weights.sum()), **dict.fromkeys(others, float("nan"))}


def test_a_difference_that_is_the_same_for_all_patients_has_no_width() -> None:
    found = side_by_side({"a": _mean(VALUES), "b": _mean(VALUES + 0.5)}, "a", PATIENTS, Bootstrap(draws=50))["mean"]
    assert found["a"].value == pytest.approx(VALUES.mean())
    assert found["a"].difference is None
    assert (found["b"].difference, found["b"].difference_lower) == (pytest.approx(0.5), pytest.approx(0.5))
    assert found["b"].upper - found["b"].lower > 0.2
    assert found["b"].differs


def test_figures_that_one_of_them_lacks_have_no_difference() -> None:
    found = side_by_side({"a": _mean(VALUES), "b": _mean(VALUES, "own")}, "a", PATIENTS, Bootstrap(draws=5))
    assert found["own"] == {"b": Entry()}
    assert side_by_side({"b": _mean(VALUES)}, "a", PATIENTS, Bootstrap(draws=5))["mean"]["b"].difference is None
    assert side_by_side({}, "a", [], Bootstrap()) == {}


def test_a_csv_says_what_is_compared() -> None:
    assert csv_table({"mean": {"a": Entry(1.0)}}, {}, "explanation").startswith("figure,better,explanation,value")
