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

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import betainc

from monai_lamps.metrics import Comparison, holm, independent_t_test, paired_t_test, welch_t_test, wilcoxon_test

A = np.array([0.90, 0.88, 0.93, 0.91, 0.86, 0.94])
B = np.array([0.87, 0.88, 0.89, 0.90, 0.87, 0.88])


def two_sided(t: float, freedom: float) -> float:
    """P-value of Student's distribution."""
    return float(betainc(freedom / 2, 0.5, freedom / (freedom + t * t)))


def test_the_paired_t_test_looks_at_the_differences() -> None:
    found = paired_t_test(A, B)
    d = A - B
    t = d.mean() / (d.std(ddof=1) / len(d) ** 0.5)
    assert (found.statistic, found.p_value) == pytest.approx((t, two_sided(t, 5)))
    assert found.difference == pytest.approx(d.mean())
    assert (found.test, found.runs) == ("paired t-test", (6, 6))


def test_the_independent_t_test_pools_the_variances_and_welch_does_not() -> None:
    b = B[:4]
    va, vb, na, nb = A.var(ddof=1), b.var(ddof=1), len(A), len(b)
    pooled = ((na - 1) * va + (nb - 1) * vb) / (na + nb - 2)
    t = (A.mean() - b.mean()) / math.sqrt(pooled * (1 / na + 1 / nb))
    found = independent_t_test(A, b)
    assert (found.statistic, found.p_value) == pytest.approx((t, two_sided(t, na + nb - 2)))
    assert (found.test, found.runs) == ("independent two-sample t-test", (6, 4))

    s = va / na + vb / nb
    t, freedom = (A.mean() - b.mean()) / s**0.5, s**2 / ((va / na) ** 2 / (na - 1) + (vb / nb) ** 2 / (nb - 1))
    found = welch_t_test(A, b)
    assert (found.statistic, found.p_value) == pytest.approx((t, two_sided(t, freedom)))
    assert found.test == "Welch's t-test"


def test_wilcoxon_counts_the_signs_that_would_be_as_extreme() -> None:
    d = np.array([0.03, 0.05, 0.04, 0.01, -0.02, 0.06])
    ranks = np.abs(d).argsort().argsort() + 1
    seen = min(ranks[d > 0].sum(), ranks[d < 0].sum())
    sums = [sum(r for r, s in zip(ranks, signs) if s) for signs in itertools.product([0, 1], repeat=6)]
    expected = min(1.0, 2 * np.mean([total <= seen for total in sums]))
    found = wilcoxon_test(B + d, B)
    assert (found.statistic, found.p_value) == pytest.approx((seen, expected))
    assert found.test == "Wilcoxon signed-rank test"
    assert wilcoxon_test(B[:5] + d[[0, 1, 2, 3, 5]], B[:5]).p_value == pytest.approx(2 / 2**5)


@pytest.mark.parametrize("test", [paired_t_test, wilcoxon_test, independent_t_test, welch_t_test])
def test_equal_runs_do_not_differ(test: Callable[..., Comparison]) -> None:
    found = test([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    assert (found.p_value, found.statistic, found.difference) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("test", [paired_t_test, independent_t_test, welch_t_test])
def test_a_difference_without_any_spread_is_certain(test: Callable[..., Comparison]) -> None:
    found = test([0.25, 0.25], [0.5, 0.5])
    assert (found.p_value, found.statistic) == (0.0, -math.inf)


def test_holm_is_the_textbook_table_in_the_order_given() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_ill_samples() -> None:
    with pytest.raises(ValueError, match="a paired test needs as many runs of both, got 6 and 4"):
        paired_t_test(A, B[:4])
    with pytest.raises(ValueError, match=r"second must be \(n,\) with at least 2 runs, got shape \(1,\)"):
        welch_t_test(A, B[:1])
    with pytest.raises(ValueError, match=r"first must be finite, got \[nan, 1.0\]"):
        independent_t_test([np.nan, 1.0], B)
    with pytest.raises(ValueError, match=r"p_values must be numbers from 0 to 1, got \[0.5, nan\]"):
        holm([0.5, float("nan")])
