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

import numpy as np
import pytest
import torch

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import CaseFigures, Correspondence, cell_centres, correspondence, point_errors
from monai_lamps.transforms import KnownWarp, RandKnownWarp

SIZE, GRID = (96, 80), (12, 10)


def encoded(points: torch.Tensor) -> torch.Tensor:
    """Features that know their place in the source image, (N, 2) px to (D, *GRID) or (N, D)."""
    share = points.double() / torch.tensor(SIZE)
    waves = torch.cat([share * math.pi * frequency for frequency in (1, 2, 4)], 1)
    return torch.cat([waves.sin(), waves.cos()], 1)


def warp(seed: int = 0) -> KnownWarp:
    random = RandKnownWarp()
    random.set_random_state(seed)
    random.randomize(SIZE)
    assert random.drawn is not None
    return random.drawn


def case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Perfect features of an image and of its warped copy, points and their true places."""
    known, centres = warp(seed), cell_centres(GRID, SIZE)
    points = 16 + torch.rand(60, 2, generator=torch.Generator().manual_seed(seed)) * (torch.tensor(SIZE) - 32)
    a, b = encoded(centres), encoded(known.to_source(centres))
    return a.T.reshape(-1, *GRID), b.T.reshape(-1, *GRID), points, known.to_warped(points)


@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_encoder_finds_every_point_within_a_small_part_of_a_cell(seed: int) -> None:
    figures = correspondence(*case(seed), SIZE, (2, 8))
    assert figures["error_px"] < 0.1 * 8
    assert figures["error_px"] < 0.5 * figures["stay_px"] < 0.5 * figures["chance_px"]
    assert figures["pck_2px"] > 0.95
    assert figures["pck_8px"] == figures["mutual_share"] == 1
    assert figures["inlier_share"] > 0.95


def test_random_features_are_as_far_off_as_chance() -> None:
    _, _, points, truth = case()
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(20):
        a, b = (torch.randn(16, *GRID, generator=generator) for _ in range(2))
        found.append(correspondence(a, b, points, truth, SIZE, (8,)))
    error, chance, right = (np.mean([f[name] for f in found]) for name in ("error_px", "chance_px", "pck_8px"))
    assert error == pytest.approx(chance, rel=0.1)
    assert right == pytest.approx(math.pi * 8**2 / (96 * 80), abs=0.02)


def test_constant_features_answer_every_point_with_one_cell() -> None:
    _, _, points, truth = case()
    figures = correspondence(torch.ones(4, *GRID), torch.ones(4, *GRID), points, truth, SIZE, (8,))
    assert figures["pck_8px"] < 0.1
    assert figures["error_px"] >= figures["stay_px"]
    assert figures["mutual_share"] < 0.1


def test_the_figures_are_those_of_the_distances() -> None:
    found, truth = (
        torch.tensor([[0.0, 0], [3, 4], [10, 0], [5, 5]]),
        torch.tensor([[0.0, 0], [0, 0], [0, 0], [math.nan, 1]]),
    )
    figures = point_errors(found, truth, (30, 40), (5, 9))
    assert figures == pytest.approx(
        {
            "error_px": 5,
            "error_median_px": 5,
            "nme_side": 5 / 30,
            "nme_diagonal": 0.1,
            "pck_5px": 2 / 3,
            "pck_9px": 2 / 3,
        }
    )


def test_the_controls_have_known_values() -> None:
    features = torch.randn(4, 2, 2)
    points, truth = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 5.0]])
    figures = correspondence(features, features, points, truth, (8, 8))
    corners = [(1.5, 1.5), (1.5, 5.5), (5.5, 1.5), (5.5, 5.5)]
    assert figures["stay_px"] == pytest.approx(4)
    assert figures["chance_px"] == pytest.approx(np.mean([math.hypot(y - 1, x - 5) for y, x in corners]))


def test_points_out_of_sight_are_left_out() -> None:
    a, b, points, truth = case()
    lost = torch.tensor([[20.0, 20.0]])
    for outside in ([-1.0, 20.0], [20.0, 79.6], [math.nan, 20.0]):
        with_lost = correspondence(a, b, torch.cat([points, lost]), torch.cat([truth, torch.tensor([outside])]), SIZE)
        assert with_lost == pytest.approx(correspondence(a, b, points, truth, SIZE))
    none = correspondence(a, b, lost, torch.tensor([[-1.0, 20.0]]), SIZE)
    assert all(math.isnan(value) for value in none.values())
    assert list(none) == list(correspondence(a, b, points, truth, SIZE))


def test_mutual_and_wrong_is_no_inlier() -> None:
    a, b, points, truth = case()
    figures = correspondence(a, b, points, truth + torch.tensor([12.0, 0]), SIZE, (8,))
    assert figures["mutual_share"] == 1
    assert figures["inlier_share"] == 0
    shuffled = b.flatten(1)[:, torch.randperm(120, generator=torch.Generator().manual_seed(0))].view_as(b)
    assert correspondence(a, shuffled, points, truth, SIZE, (8,))["inlier_share"] < 0.2


def test_it_works_in_three_dimensions() -> None:
    size, grid = (12, 16, 20), (3, 4, 5)
    features, points = torch.randn(64, *grid, generator=torch.Generator().manual_seed(0)), cell_centres(grid, size)
    figures = correspondence(features, features, points, points, size, (4, 8))
    assert figures["pck_4px"] == figures["mutual_share"] == figures["inlier_share"] == 1


def test_the_metric_is_the_mean_over_pairs_and_its_interval_draws_patients() -> None:
    metric, single = Correspondence((4, 8)), []
    with pytest.raises(ValueError, match="Correspondence got no case to judge"):
        metric.aggregate()
    for seed in range(6):
        single.append(metric(*case(seed), SIZE, patient=f"p{seed // 2}"))
    assert metric.aggregate() == pytest.approx({name: np.mean([s[name] for s in single]) for name in single[0]})
    assert metric.cases()[3] == pytest.approx(single[3])
    assert metric.patients() == [metric.patients()[k // 2 * 2] for k in range(6)]
    low, high = metric.intervals(Bootstrap(draws=100))["error_px"]
    assert low < metric.aggregate()["error_px"] < high
    metric.reset()
    with pytest.raises(ValueError, match="got no case"):
        metric.cases()


def test_figures_that_a_case_lacks_do_not_count() -> None:
    metric = Correspondence((8,))
    a, b, points, truth = case()
    expected = metric(a, b, points, truth, SIZE)
    metric(a, b, points[:1], truth[:1] - 1000, SIZE)
    assert metric.aggregate() == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"a case must have all of .*'pck_8px'.* missing; use NaN"):
        metric.add({"error_px": 1.0})


def test_wrong_points_and_thresholds_are_refused() -> None:
    a, b, points, truth = case()
    with pytest.raises(ValueError, match=r"must both be \(N, 2\) px, got \(60, 2\) and \(59, 2\)"):
        correspondence(a, b, points, truth[1:], SIZE)
    with pytest.raises(ValueError, match=r"found and true points must both be \(N, 2\) px, got \(3, 3\) and \(3, 3\)"):
        point_errors(torch.rand(3, 3), torch.rand(3, 3), SIZE)
    for thresholds in ((), (0, 1), (8, 8), (8, 4)):
        with pytest.raises(ValueError, match="thresholds must be positive and increasing px, got"):
            Correspondence(thresholds)


class Plain(CaseFigures):
    def __call__(self, figures: dict[str, float]) -> None:
        self.add(figures)


def test_names_of_figures_are_checked() -> None:
    for names in ((), ("a", "a"), "figure"):
        with pytest.raises(ValueError, match="names must be a list of different names, got"):
            Plain(names)
