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

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_precision, compute_roc_auc

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.evidence import (
    BestOverlap,
    EnergyInside,
    EvidenceMetric,
    OverlapAt,
    PixelRanking,
    PointingGame,
    best_threshold,
    dice_at,
    dice_by_threshold,
    energy_inside,
    evidence_mass,
    iou_at,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    scaled_by_maximum,
)

Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
PLACES: list[Metric] = [pointing_game, pixel_auroc, pixel_average_precision, energy_inside, dice_at, iou_at]


def square(size: tuple[int, ...] = (8, 10)) -> torch.Tensor:
    """One image with a true part of 12 of 80 pixels (or of a volume 24 of 320)."""
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    mask[(0, 0, slice(2, 5), slice(3, 7), *[slice(1, 3)] * (len(size) - 2))] = True
    return mask


@pytest.mark.parametrize("size", [(8, 10), (8, 10, 4)], ids=["2-D", "3-D"])
@pytest.mark.parametrize("metric", PLACES)
def test_the_truth_itself_is_a_perfect_explanation(metric: Metric, size: tuple[int, ...]) -> None:
    assert metric(square(size).float(), square(size)).tolist() == [1]


@pytest.mark.parametrize("metric", PLACES)
def test_the_opposite_of_the_truth_is_the_worst_explanation(metric: Metric) -> None:
    worst = float(metric((~square()).float(), square()))
    assert worst == (0 if metric is not pixel_average_precision else pytest.approx(12 / 80))


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize(
    ("metric", "chance"),
    [(pointing_game, 0.15), (pixel_auroc, 0.5), (pixel_average_precision, 0.15), (energy_inside, 0.15)],
)
def test_a_map_that_says_nothing_has_the_figure_of_chance(metric: Metric, chance: float, value: float) -> None:
    assert metric(torch.full((1, 1, 8, 10), value), square()).tolist() == [pytest.approx(chance)]


@pytest.mark.parametrize("metric", PLACES)
def test_an_image_without_truth_has_no_figure_and_does_not_disturb_the_others(metric: Metric) -> None:
    maps = torch.cat([square().float(), torch.rand(1, 1, 8, 10)])
    found = metric(maps, torch.cat([square(), torch.zeros_like(square())]))
    assert found[0] == 1
    assert math.isnan(found[1])


@pytest.mark.parametrize("metric", PLACES)
@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (torch.zeros(1, 8, 10), torch.zeros(1, 8, 10), r"must both be \(B, 1, \*spatial\), got \(1, 8, 10\)"),
        (torch.zeros(1, 1, 8, 10), torch.zeros(1, 1, 8, 9), r"got \(1, 1, 8, 10\) and \(1, 1, 8, 9\)"),
        (torch.full((1, 1, 8, 10), -0.5), square(), "at least 0.*got values from -0.5 to -0.5; clamp"),
        (torch.full((1, 1, 8, 10), math.nan), square(), "maps must be finite"),
    ],
)
def test_maps_that_are_none_are_refused(metric: Metric, maps: torch.Tensor, masks: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(maps, masks)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
def test_ranking_figures_are_those_of_monai_and_no_scale_changes_them(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(1, 1, 8, 10, generator=generator, dtype=torch.float64).mul(8).round() / 8
    truth = square().flatten().double()
    expected = compute_roc_auc(maps.flatten(), truth)
    assert float(pixel_auroc(maps * scale, square())) == pytest.approx(expected, rel=1e-12)
    expected = compute_average_precision(maps.flatten(), truth)
    assert float(pixel_average_precision(maps * scale, square())) == pytest.approx(expected, rel=1e-12)
    for metric in (pointing_game, energy_inside):
        assert float(metric(maps * scale, square())) == pytest.approx(float(metric(maps, square())))


def test_a_pixel_beside_the_truth_counts_within_the_tolerance() -> None:
    maps = torch.zeros(1, 1, 8, 10)
    maps[0, 0, 4, 9] = 1  # three columns from the last true one
    assert [float(pointing_game(maps, square(), px)) for px in (0, 2.9, 3)] == [0, 0, 1]
    with pytest.raises(ValueError, match="tolerance must be at least 0 px, got -1"):
        pointing_game(maps, square(), -1)
    with pytest.raises(ValueError, match="tolerance must be at least 0 px, got -1"):
        PointingGame(-1)


def test_pixels_that_share_the_maximum_are_a_guess_among_them() -> None:
    maps = torch.zeros(1, 1, 8, 10)
    maps[0, 0, 2, 3] = maps[0, 0, 0, 0] = maps[0, 0, 0, 1] = maps[0, 0, 7, 9] = 0.5
    assert float(pointing_game(maps, square())) == 0.25


def test_energy_is_the_share_of_the_sum_even_of_tiny_values() -> None:
    maps = torch.zeros(1, 1, 8, 10)
    maps[0, 0, 3, 4], maps[0, 0, 0, 0] = 3, 1
    assert float(energy_inside(maps, square())) == 0.75
    assert float(energy_inside(maps * 1e-35, square())) == pytest.approx(0.75)
    assert evidence_mass(maps).tolist() == [pytest.approx(4 / 80)]


def test_overlap_counts_what_reaches_the_threshold() -> None:
    maps = torch.zeros(1, 1, 8, 10)
    maps[0, 0, 2:5, 3:5], maps[0, 0, 0, :] = 0.8, 0.4  # 6 of 12 true ones, and 10 beside
    assert float(dice_at(maps, square(), 0.8)) == pytest.approx(2 * 6 / 18)
    assert float(iou_at(maps, square(), 0.8)) == pytest.approx(6 / 12)
    assert float(dice_at(maps, square(), 0.4)) == pytest.approx(2 * 6 / 28)
    with pytest.raises(ValueError, match="threshold must be above 0, got 0"):
        dice_at(maps, square(), 0)
    with pytest.raises(ValueError, match=r"a share of the maximum, above 0 and at most 1, got 1\.5"):
        OverlapAt(1.5)


def test_maps_of_any_scale_are_brought_to_one() -> None:
    maps = torch.stack([torch.eye(4)[None] * 7, torch.zeros(1, 4, 4)])
    assert scaled_by_maximum(maps).tolist() == [torch.eye(4)[None].tolist(), torch.zeros(1, 4, 4).tolist()]


def test_the_best_threshold_is_that_of_a_plain_search() -> None:
    maps, masks = torch.rand(5, 1, 8, 10, generator=torch.Generator().manual_seed(0)), square().repeat(5, 1, 1, 1)
    maps = maps + masks * 0.6
    masks[4] = False
    thresholds = (0.3, 0.5, 0.7, 0.9)
    means = [float(dice_at(scaled_by_maximum(maps), masks, t)[:4].mean()) for t in thresholds]
    threshold, dice = best_threshold(maps, masks, thresholds)
    assert (threshold, dice) == (thresholds[int(np.argmax(means))], pytest.approx(max(means)))
    assert dice_by_threshold(maps, masks, thresholds).shape == (5, 4)
    assert all(math.isnan(value) for value in best_threshold(maps, masks & False, thresholds))


def test_the_best_threshold_of_many_batches_is_that_of_all_images_together() -> None:
    maps, masks = torch.rand(6, 1, 8, 10, generator=torch.Generator().manual_seed(1)), square().repeat(6, 1, 1, 1)
    metric = BestOverlap()
    for part in (slice(0, 2), slice(2, 6)):
        metric(maps[part], masks[part], [f"p{number // 2}" for number in range(6)][part])
    threshold, dice = best_threshold(maps, masks)
    assert metric.aggregate() == {"best_dice": pytest.approx(dice), "best_threshold": threshold}
    low, high = metric.intervals(Bootstrap(draws=20))["best_dice"]
    assert low <= dice <= high
    with pytest.raises(ValueError, match="thresholds must be shares of the maximum, above 0 and at most 1, got"):
        BestOverlap([0.5, 0])


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        (PointingGame(), ["pointing_game"]),
        (EnergyInside(), ["energy_inside"]),
        (OverlapAt(), ["dice", "iou"]),
        (PixelRanking(), ["pixel_auroc", "pixel_average_precision"]),
    ],
)
def test_a_metric_gives_the_mean_over_the_images_that_define_it(metric: EvidenceMetric, names: list[str]) -> None:
    masks = torch.cat([square(), square(), torch.zeros_like(square())])
    found = metric(torch.cat([square(), ~square(), square()]).float(), masks, ["a", "a", "b"])
    assert list(found) == names
    assert all(values.shape == (3,) for values in found.values())
    for name, mean in metric.aggregate().items():
        assert mean == pytest.approx(float(found[name][:2].mean()))
    assert metric.patients() == [0, 0, 1]
    metric.reset()
    with pytest.raises(ValueError, match="got no case to judge"):
        metric.aggregate()
