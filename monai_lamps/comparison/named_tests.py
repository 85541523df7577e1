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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monai_lamps.metrics.significance import (
    Comparison,
    independent_t_test,
    paired_t_test,
    welch_t_test,
    wilcoxon_test,
)

__all__ = ["TESTS", "Test"]


@dataclass(frozen=True)
class Test:
    """A two-sided test of whether two initialisations differ.

    Attributes:
        title: its name, as the table prints it.
        paired: whether runs are compared seed by seed.
        function: gets the figures of the one and of the other.
    """

    __test__ = False  # not for pytest

    title: str
    paired: bool
    function: Callable[[Any, Any], Comparison]

    def __call__(self, first: Mapping[int, float], second: Mapping[int, float]) -> Comparison:
        """Compare two initialisations.

        Args:
            first: figure by seed.
            second: figure by seed of the other one; a paired test takes the seeds that both have.

        Raises:
            ValueError: when there are fewer than 2 runs, for a paired test fewer than 2 seeds that both have.
        """
        if not self.paired:
            return self.function(list(first.values()), list(second.values()))
        shared = [seed for seed in first if seed in second]
        if len(shared) < 2:
            raise ValueError(
                f"the {self.title} needs 2 or more seeds that both have finished, got {len(shared)} "
                f"({sorted(first)} and {sorted(second)}); run more seeds, or take an independent test."
            )
        return self.function([first[seed] for seed in shared], [second[seed] for seed in shared])


#: tests by the name that a plan gives
TESTS: dict[str, Test] = {
    "paired_t": Test("paired t-test", True, paired_t_test),
    "wilcoxon": Test("Wilcoxon signed-rank test", True, wilcoxon_test),
    "independent_t": Test("independent two-sample t-test", False, independent_t_test),
    "welch": Test("Welch's t-test", False, welch_t_test),
}
