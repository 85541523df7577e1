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

from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import CalibrationErrorMetric

from monai_lamps.metrics import ClassificationFigures, MultiClassFigures, reliability

NAN = float("nan")


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Share of pairs of a positive and a negative case in the right order; equal scores are half right."""
    a, b = scores[positive][:, None], scores[~positive][None]
    return float(((a > b) + 0.5 * (a == b)).mean())


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Precision at every threshold, weighted by the recall that it adds."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        recall = positive[chosen].sum() / positive.sum()
        total += (recall - before) * positive[chosen].mean()
        before = recall
    return float(total)


def cases(count: int = 60, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(count, classes, generator=generator).mul(20).round() / 20  # with ties
    labels = (torch.rand(count, classes, generator=generator) < 0.2 + 0.5 * probabilities).float()
    labels[::7, 0], labels[::9, 1] = NAN, -1
    return probabilities, labels


def test_figures_of_each_class_are_what_a_plain_reference_gives_for_the_known_labels() -> None:
    probabilities, labels = cases()
    figures = ClassificationFigures(["a", "b", "c"], bins=5)
    found = figures.summary(figures.rows(probabilities, {"label": labels}))
    for channel, name in enumerate("abc"):
        known = (labels[:, channel] >= 0).numpy()
        p, y = probabilities[known, channel].numpy().astype(float), labels[known, channel].numpy() == 1
        assert found[f"auroc/{name}"] == pytest.approx(auroc(p, y), rel=1e-5)
        assert found[f"average_precision/{name}"] == pytest.approx(average_precision(p, y), rel=1e-5)
        assert found[f"brier/{name}"] == pytest.approx(((p - y) ** 2).mean(), rel=1e-5)
        assert found[f"ece/{name}"] == pytest.approx(reliability(p, y, bins=5).error, rel=1e-5)
    for figure in ("auroc", "average_precision", "brier", "ece"):
        assert found[figure] == pytest.approx(np.mean([found[f"{figure}/{name}"] for name in "abc"]))


def test_the_figures_for_any_weights_are_those_of_monai_for_the_repeated_cases() -> None:
    figures = ClassificationFigures(["a", "b", "c"])
    rows = figures.rows(*cases()[:1], {"label": cases()[1]})
    counts = np.random.default_rng(0).integers(0, 3, len(rows))
    repeated = figures.summary([row for row, count in zip(rows, counts) for _ in range(count)])
    assert figures.statistic(rows)(counts.astype(float)) == pytest.approx(repeated, rel=1e-5)
    assert figures.statistic(rows)(np.ones(len(rows))) == pytest.approx(figures.summary(rows), rel=1e-5)


def test_the_calibration_error_is_that_of_monai() -> None:
    generator = torch.Generator().manual_seed(1)
    p = torch.rand(200, generator=generator)
    y = (torch.rand(200, generator=generator) < p**2).float()
    metric = CalibrationErrorMetric(num_bins=10)
    metric(p[None, None], y[None, None])
    figures = ClassificationFigures(["a"])
    found = figures.summary(figures.rows(p[:, None], {"label": y[:, None]}))
    assert found["ece"] == pytest.approx(float(metric.aggregate()), rel=1e-5)


def test_a_class_without_positives_or_without_labels_is_nan_is_warned_of_once_and_left_out_of_the_means(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = torch.tensor([[1.0, 0.0, NAN], [0.0, 0.0, -1.0]])
    figures = ClassificationFigures(["mass", "hernia", "edema"])
    rows = figures.rows(torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.3, 0.5]]), {"label": labels})
    for _ in range(2):
        found = figures.summary(rows)
    assert found["auroc"] == found["auroc/mass"] == found["average_precision"] == 1
    assert np.isnan(
        [found[f"{figure}/{name}"] for figure in ("auroc", "average_precision") for name in ("hernia", "edema")]
    ).all()
    assert found["brier/hernia"] == pytest.approx((0.1**2 + 0.3**2) / 2)
    assert np.isnan(found["brier/edema"])
    assert np.isnan(found["ece/edema"])
    assert found["brier"] == pytest.approx((found["brier/mass"] + found["brier/hernia"]) / 2)
    assert caplog.messages == [
        "AUROC is not defined for 2 of 3 (hernia, edema): 2 cases hold no known positive, or no known negative. It is "
        "NaN there and left out of the mean."
    ]
    assert list(figures.roc_curves(rows)) == ["mass"]
    assert list(figures.reliability_curves(rows)) == ["mass", "hernia"]


def test_only_positives_have_no_average_precision() -> None:
    figures = ClassificationFigures(["a"])
    found = figures.summary(figures.rows(torch.tensor([[0.9], [0.2]]), {"label": torch.ones(2, 1)}))
    assert np.isnan([found["auroc"], found["average_precision"]]).all()


def test_a_soft_label_counts_as_the_nearer_class() -> None:
    figures = ClassificationFigures(["a"])
    rows = figures.rows(torch.tensor([[0.9], [0.2]]), {"label": torch.tensor([[0.55], [0.45]])})
    assert figures.summary(rows)["auroc"] == 1


def test_of_exclusive_classes_the_most_probable_one_is_judged() -> None:
    p = torch.tensor([[0.75, 0.15, 0.1], [0.55, 0.35, 0.1], [0.05, 0.2, 0.75], [0.3, 0.4, 0.3]])
    labels = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [NAN, NAN, NAN]])
    figures = MultiClassFigures(["a", "b", "c"])
    rows = figures.rows(p, {"label": labels})
    found = figures.summary(rows)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["ece"] == pytest.approx(((2 - 1.5) + (0.55 - 0)) / 3, rel=1e-5)
    assert found["auroc/a"] == auroc(p[:3, 0].numpy(), labels[:3, 0].numpy() == 1)
    assert figures.statistic(rows)(np.array([2.0, 1, 0, 0]))["accuracy"] == pytest.approx(2 / 3)
    assert next(iter(found)) == "accuracy"


def test_without_a_known_label_the_accuracy_is_not_defined() -> None:
    figures = MultiClassFigures(["a", "b"])
    rows = figures.rows(torch.tensor([[0.5, 0.5]]), {"label": torch.full((1, 2), NAN)})
    assert np.isnan(figures.summary(rows)["accuracy"])


@pytest.mark.parametrize("labels", [[0.0, 0.0], [1.0, 1.0]])
def test_a_case_without_exactly_one_class_is_refused(labels: list[float]) -> None:
    has = ["a", "b"] if sum(labels) else []
    message = rf"case 1 of the batch has the classes {has}, expected exactly one of \['a', 'b'\]".replace("[", r"\[", 1)
    with pytest.raises(ValueError, match=message):
        MultiClassFigures(["a", "b"]).rows(torch.full((2, 2), 0.5), {"label": torch.tensor([[1.0, 0.0], labels])})


def test_ill_arguments() -> None:
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        ClassificationFigures(["a"], bins=0)
    figures: Any = ClassificationFigures(["a", "b"])
    with pytest.raises(
        ValueError, match=r"must both be \(B, 2\) for the classes \['a', 'b'\], got \(4, 2\) and \(4,\)"
    ):
        figures.rows(torch.zeros(4, 2), {"label": torch.zeros(4)})
    with pytest.raises(ValueError, match="probabilities must lie in"):
        figures.summary(figures.rows(torch.full((1, 2), 1.5), {"label": torch.zeros(1, 2)}))
