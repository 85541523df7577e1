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
import numpy.typing as npt

__all__ = ["Ranking"]

Array = npt.NDArray[np.float64]


class Ranking:
    """Scores of one class in order, from which figures follow for any weights of the cases.

    MONAI's ``compute_roc_auc`` and ``compute_average_precision`` give the same for weights of 1, but go through the
    cases one by one in Python and know no weights: 1000 draws of a bootstrap over 14 classes of 25,000 images would
    take six minutes with them.

    Args:
        scores: (n,), the higher the more positive.
        positive: (n,), whether the class is there.

    Raises:
        ValueError: when the two are not (n,).
    """

    def __init__(self, scores: npt.ArrayLike, positive: npt.ArrayLike) -> None:
        s, p = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
        if s.ndim != 1 or s.shape != p.shape:
            raise ValueError(f"scores and positive must both be (n,), got {s.shape} and {p.shape}.")
        self.order = np.argsort(-s, kind="stable")
        self.positive = p[self.order]
        ranked = s[self.order]
        self.last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else self.order
        self.thresholds = ranked[self.last]

    def counts(self, weights: Array) -> tuple[Array, Array]:
        """True and false positives at each threshold, highest first; equal scores are one threshold."""
        w = weights[self.order]
        true = np.cumsum(np.where(self.positive, w, 0.0))[self.last]
        false = np.cumsum(np.where(self.positive, 0.0, w))[self.last]
        return true, false

    def roc_curve(self, weights: Array) -> tuple[Array, Array]:
        """False and true positive rate, both from 0 to 1; NaN where there are no negatives or no positives."""
        true, false = (np.append(0.0, count) for count in self.counts(weights))
        with np.errstate(invalid="ignore"):
            return false / false[-1], true / true[-1]

    def roc_auc(self, weights: Array) -> float:
        """Area under the ROC curve; NaN where there are no positives or no negatives."""
        if not len(self.order):
            return float("nan")
        false, true = self.roc_curve(weights)
        return float((np.diff(false) * (true[1:] + true[:-1])).sum() / 2)

    def average_precision(self, weights: Array) -> float:
        """Mean of the precision over the steps of the recall; NaN where there are no positives or no negatives.

        Without negatives every order is perfect, which says nothing; MONAI gives NaN, too.
        """
        if not len(self.order):
            return float("nan")
        true, false = self.counts(weights)
        if true[-1] == 0 or false[-1] == 0:
            return float("nan")
        found = np.diff(true, prepend=0.0)
        seen = true + false
        precision = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
        return float((found * precision).sum() / true[-1])
