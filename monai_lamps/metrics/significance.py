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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ["Comparison", "holm", "independent_t_test", "paired_t_test", "welch_t_test", "wilcoxon_test"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The answer of a two-sided test of whether two sets of runs differ.

    Attributes:
        test: its name, as a table should print it.
        difference: mean of the first minus mean of the second.
        statistic: the test's statistic.
        p_value: chance of a difference at least as large if there were none, 0 to 1; not corrected (see :func:`holm`).
        runs: number of runs of the first and of the second.
    """

    test: str
    difference: float
    statistic: float
    p_value: float
    runs: tuple[int, int]


def paired_t_test(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Paired t-test: the runs share their split and seed pairwise, so that what is common to a pair cancels.

    Equal pairs throughout give p = 1; a difference that is the same in every pair, and not 0, gives p = 0.

    Args:
        first: figure of each run of the one method, (n,).
        second: of the other, (n,), in the same order of splits and seeds.

    Raises:
        ValueError: when there are fewer than 2 pairs, the lengths differ, or a figure is not finite.
    """
    a, b = _pairs(first, second)
    if np.ptp(a - b) == 0:
        return _constant("paired t-test", a, b)
    found = stats.ttest_rel(a, b)
    return _comparison("paired t-test", a, b, found.statistic, found.pvalue)


def wilcoxon_test(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Wilcoxon's signed-rank test: paired as :func:`paired_t_test`, without assuming a normal distribution.

    With n pairs p cannot fall below 2 / 2**n: 5 pairs never reach 0.05, 6 do. Equal pairs throughout give p = 1.

    Args:
        first: figure of each run of the one method, (n,).
        second: of the other, (n,), in the same order of splits and seeds.

    Raises:
        ValueError: when there are fewer than 2 pairs, the lengths differ, or a figure is not finite.
    """
    a, b = _pairs(first, second)
    if not np.any(a - b):
        return _constant("Wilcoxon signed-rank test", a, b)
    found = stats.wilcoxon(a, b)
    return _comparison("Wilcoxon signed-rank test", a, b, found.statistic, found.pvalue)


def independent_t_test(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Student's two-sample t-test with a pooled variance: what Adam and Lamps report, over 10 runs, p < 0.05.

    The papers say "independent two-sample t-test" without more; pooled is what SciPy computes by default under that
    name. It treats runs on the same split as unrelated, so where splits are shared :func:`paired_t_test` sees more.

    Args:
        first: figure of each run of the one method, (n,).
        second: of the other, (m,).

    Raises:
        ValueError: when a method has fewer than 2 runs, or a figure is not finite.
    """
    a, b = _sample(first, "first"), _sample(second, "second")
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return _constant("independent two-sample t-test", a, b)
    found = stats.ttest_ind(a, b)
    return _comparison("independent two-sample t-test", a, b, found.statistic, found.pvalue)


def welch_t_test(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Welch's two-sample t-test: as :func:`independent_t_test`, but the two variances may differ.

    The better choice where one initialisation is steadier than the other, which is the rule with few labels.

    Args:
        first: figure of each run of the one method, (n,).
        second: of the other, (m,).

    Raises:
        ValueError: when a method has fewer than 2 runs, or a figure is not finite.
    """
    a, b = _sample(first, "first"), _sample(second, "second")
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return _constant("Welch's t-test", a, b)
    found = stats.ttest_ind(a, b, equal_var=False)
    return _comparison("Welch's t-test", a, b, found.statistic, found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several (Holm, 1979): the chance of even one false finding among all is controlled.

    Args:
        p_values: of all comparisons that are looked at together, in any order, 0 to 1.

    Returns:
        corrected p-values in the same order; each is to be compared with the level (0.05) itself.

    Raises:
        ValueError: when a p-value is not a number from 0 to 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p_values must be numbers from 0 to 1, got {list(p_values)}; leave out what was not tested.")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in corrected]


def _comparison(test: str, a: Array, b: Array, statistic: float, p_value: float) -> Comparison:
    return Comparison(test, float(a.mean() - b.mean()), float(statistic), float(p_value), (len(a), len(b)))


def _constant(test: str, a: Array, b: Array) -> Comparison:
    """Without any spread the means alone decide."""
    difference = float(a[0] - b[0])
    return _comparison(test, a, b, np.sign(difference) * np.inf if difference else 0.0, 0.0 if difference else 1.0)


def _pairs(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Array, Array]:
    a, b = _sample(first, "first"), _sample(second, "second")
    if len(a) != len(b):
        raise ValueError(
            f"a paired test needs as many runs of both, got {len(a)} and {len(b)}; give the runs on shared splits, or "
            "use independent_t_test."
        )
    return a, b


def _sample(values: npt.ArrayLike, name: str) -> Array:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        raise ValueError(f"{name} must be (n,) with at least 2 runs, got shape {sample.shape}; run more seeds.")
    if not np.isfinite(sample).all():
        raise ValueError(f"{name} must be finite, got {sample.tolist()}; leave out runs without the figure.")
    return sample
