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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_average_precision, compute_roc_auc
from torch import Tensor

from .calibration import Reliability, brier_score, reliability
from .figures import Figures, Row, Statistic
from .ranking import Ranking

__all__ = ["ClassificationFigures", "MultiClassFigures", "mean_of_defined"]

Array = npt.NDArray[np.float64]


class ClassificationFigures(Figures):
    """Figures of classes that are there or not, each for itself.

    A row holds ``probability/<class>`` and ``label/<class>``. For each class, and without its name as the mean over
    the classes: ``auroc`` and ``average_precision`` (MONAI), ``brier`` (mean squared difference of probability and
    label) and ``ece`` (expected calibration error). Rules:

    - A label that is NaN or negative is *unknown*: the case is left out for this class.
    - A label of at least 0.5 is positive (as :func:`~monai_lamps.data.annotations.count_labels` has it).
    - A class without known positives, or without known negatives, has no AUROC and no average precision: they are NaN,
      a warning says once how many and which, and the means go over the other classes. Brier and ECE need a known label.

    Args:
        classes: names, in the order of the channels.
        bins: bins of the reliability curve.

    Raises:
        ValueError: when ``classes`` is empty or names one twice, or ``bins`` is below 1.
    """

    def __init__(self, classes: Sequence[str], bins: int = 10) -> None:
        super().__init__(classes)
        if bins < 1:
            raise ValueError(f"bins must be at least 1, got {bins}; 10 is usual.")
        self.bins = bins

    def rows(self, probabilities: Tensor, batch: Mapping[str, Any]) -> list[Row]:
        """Probabilities and labels of each case.

        Args:
            probabilities: (B, K), float in [0, 1].
            batch: ``label`` (B, K): 0, 1, a probability between them, or NaN or -1 for unknown.

        Raises:
            ValueError: when a shape is another.
        """
        labels = batch["label"]
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.names) or probabilities.shape != labels.shape:
            raise ValueError(
                f"probabilities and labels must both be (B, {len(self.names)}) for the classes {list(self.names)}, got "
                f"{tuple(probabilities.shape)} and {tuple(labels.shape)}."
            )
        answers, truth = probabilities.float().cpu().tolist(), labels.float().cpu().tolist()
        return [
            {f"probability/{name}": value for name, value in zip(self.names, answer)}
            | {f"label/{name}": value for name, value in zip(self.names, label)}
            for answer, label in zip(answers, truth)
        ]

    def summary(self, rows: Sequence[Row]) -> dict[str, float]:
        """The figures of these cases, NaN where one is not defined.

        Args:
            rows: from :meth:`rows`, at least one.

        Raises:
            ValueError: when there is no row.
        """
        figures = super().summary(rows)
        probabilities, positive, known = self._columns(rows)
        for name, p, y, k in zip(self.names, probabilities.T, positive.T, known.T):
            if 0 < y[k].sum() < k.sum():
                scores, labels = torch.from_numpy(p[k]), torch.from_numpy(y[k].astype(np.float64))
                figures[f"auroc/{name}"] = float(compute_roc_auc(scores, labels))  # type: ignore[arg-type]
                figures[f"average_precision/{name}"] = float(compute_average_precision(scores, labels))  # type: ignore[arg-type]
        for figure in ("auroc", "average_precision"):
            figures[figure] = mean_of_defined([figures[f"{figure}/{name}"] for name in self.names])
        lacking = [name for name in self.names if np.isnan(figures[f"auroc/{name}"])]
        self.warn_undefined("AUROC", lacking, f"{len(rows)} cases hold no known positive, or no known negative")
        return figures

    def statistic(self, rows: Sequence[Row]) -> Statistic:
        """The figures of these cases as a function of how often each one counts.

        Args:
            rows: from :meth:`rows`.
        """
        probabilities, positive, known = self._columns(rows)
        rankings = [Ranking(p[k], y[k]) for p, y, k in zip(probabilities.T, positive.T, known.T)]

        def figures(weights: Array) -> dict[str, float]:
            by_class: dict[str, list[float]] = {"auroc": [], "average_precision": [], "brier": [], "ece": []}
            for ranking, p, y, k in zip(rankings, probabilities.T, positive.T, known.T):
                w = weights[k]
                by_class["auroc"].append(ranking.roc_auc(w))
                by_class["average_precision"].append(ranking.average_precision(w))
                by_class["brier"].append(brier_score(p[k], y[k], w))
                by_class["ece"].append(reliability(p[k], y[k], w, self.bins).error)
            found = {figure: mean_of_defined(values) for figure, values in by_class.items()}
            for figure, values in by_class.items():
                found.update({f"{figure}/{name}": value for name, value in zip(self.names, values)})
            return found

        return figures

    def roc_curves(self, rows: Sequence[Row]) -> dict[str, tuple[Array, Array]]:
        """False and true positive rates (both (t,), from 0 to 1) of the classes that have both kinds of cases."""
        curves = {}
        for name, p, y, k in zip(self.names, *(column.T for column in self._columns(rows))):
            if 0 < y[k].sum() < k.sum():
                curves[name] = Ranking(p[k], y[k]).roc_curve(np.ones(k.sum()))
        return curves

    def reliability_curves(self, rows: Sequence[Row]) -> dict[str, Reliability]:
        """How often predictions come true, of the classes that have a known label."""
        columns = zip(self.names, *(column.T for column in self._columns(rows)))
        return {name: reliability(p[k], y[k], bins=self.bins) for name, p, y, k in columns if k.any()}

    def _columns(self, rows: Sequence[Row]) -> tuple[Array, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Probabilities, which labels are positive, and which are known, each (n, K)."""
        labels = self.channels(rows, "label")
        return self.channels(rows, "probability"), labels >= 0.5, labels >= 0


class MultiClassFigures(ClassificationFigures):
    """Figures of classes of which each image has exactly one (RSNA: normal, abnormal, opacity).

    As :class:`ClassificationFigures`, each class against the others, with two figures about the most probable class:
    ``accuracy``, and ``ece``, the calibration error of its probability (Guo et al., arXiv 1706.04599) instead of the
    mean over the classes. ``brier`` stays the mean over the classes: K times it is the sum that Brier (1950) has. A
    case with an unknown label, as a whole, is left out of accuracy and ``ece``.
    """

    def rows(self, probabilities: Tensor, batch: Mapping[str, Any]) -> list[Row]:
        """Probabilities and labels of each case.

        Args:
            probabilities: (B, K), float in [0, 1].
            batch: ``label`` (B, K), 1 for the one class of the case and 0 for the others, or NaN or -1 for unknown.

        Raises:
            ValueError: when a shape is another, or a case has not exactly one class.
        """
        rows = super().rows(probabilities, batch)
        for number, row in enumerate(rows):
            labels = self.channels([row], "label")[0]
            if (labels >= 0).all() and (labels >= 0.5).sum() != 1:
                has = [name for name, label in zip(self.names, labels) if label >= 0.5]
                raise ValueError(
                    f"case {number} of the batch has the classes {has}, expected exactly one of {list(self.names)}; "
                    "mend its labels, or judge the classes one by one with ClassificationFigures."
                )
        return rows

    def statistic(self, rows: Sequence[Row]) -> Statistic:
        """The figures of these cases as a function of how often each one counts.

        Args:
            rows: from :meth:`rows`.
        """
        by_class = super().statistic(rows)
        probabilities, positive, known = self._columns(rows)
        told = known.all(axis=1)
        best = probabilities[told].argmax(axis=1)
        sure = np.take_along_axis(probabilities[told], best[:, None], axis=1)[:, 0]
        right = np.take_along_axis(positive[told], best[:, None], axis=1)[:, 0]

        def figures(weights: Array) -> dict[str, float]:
            w = weights[told]
            accuracy = float((w * right).sum() / w.sum()) if w.sum() else float("nan")
            ece = reliability(sure, right, w, self.bins).error
            return {"accuracy": accuracy, **by_class(weights), "ece": ece}

        return figures


def mean_of_defined(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN when there is none."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
