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

import pytest
import torch

from monai_lamps.metrics.anatomy import (
    LandmarkTemplate,
    LandmarkTransfer,
    best_of_matches,
    cell_centres,
    copy_landmarks,
    landmark_transfer,
    mean_of_matches,
    transfer_landmarks,
)

Combine = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
GRID = (10, 8)
ANATOMY = 0.2 + 0.6 * torch.rand(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # shares


def patient(size: tuple[int, int], shift: tuple[float, float]) -> LandmarkTemplate:
    """A patient who stands ``shift`` (shares) off; the features of his cells know the anatomical place exactly."""
    sides, moved = torch.tensor(size, dtype=torch.float64), torch.tensor(shift, dtype=torch.float64)
    place = (cell_centres(GRID, size).double() + 0.5) / sides - moved
    waves = torch.cat([place * math.pi * frequency for frequency in (1, 2, 4)], 1)
    features = torch.cat([waves.sin(), waves.cos()], 1).T.reshape(-1, *GRID)
    return LandmarkTemplate(features, (ANATOMY + moved) * sides - 0.5, size)


SMALL, LARGE, LAST = patient((80, 80), (0.05, 0)), patient((200, 160), (0, -0.06)), patient((120, 160), (-0.08, 0.04))


@pytest.mark.parametrize("combine", [mean_of_matches, best_of_matches])
def test_a_perfect_encoder_carries_landmarks_between_patients_of_any_size(combine: Combine) -> None:
    found = transfer_landmarks([SMALL, LARGE], LAST.features, LAST.image_size, combine)
    cell = torch.tensor([12.0, 20.0])
    assert ((found - LAST.points).abs() / cell).max() < 0.15
    figures = landmark_transfer([SMALL, LARGE], LAST.features, LAST.points, LAST.image_size, combine, (4, 8))
    assert figures["error_px"] < 2 < 0.5 * figures["copied_px"]
    assert figures["pck_8px"] == 1


def test_without_features_the_mean_place_is_copied() -> None:
    copied = copy_landmarks([SMALL, LARGE], (100, 100))
    assert torch.allclose(copied.double(), (ANATOMY + torch.tensor([0.025, -0.03])) * 100 - 0.5, atol=1e-3)
    figures = landmark_transfer([SMALL], LAST.features, LAST.points, LAST.image_size)
    assert figures["copied_px"] == pytest.approx(math.hypot(0.13 * 120, 0.04 * 160), rel=1e-4)


def test_constant_features_are_no_better_than_copying() -> None:
    blind = LandmarkTemplate(torch.ones(3, *GRID), SMALL.points, SMALL.image_size)
    figures = landmark_transfer([blind], torch.ones(3, *GRID), LAST.points, LAST.image_size)
    assert figures["error_px"] > figures["copied_px"]


def test_the_mean_and_the_best_are_what_they_say() -> None:
    points = torch.tensor(
        [[[0.0, 0], [2, 2], [math.nan, math.nan]], [[4.0, 8], [math.nan, math.nan], [math.nan, math.nan]]]
    )
    similarity = torch.tensor([[0.3, 0.1, math.nan], [0.6, math.nan, math.nan]])
    mean, best = mean_of_matches(points, similarity), best_of_matches(points, similarity)
    assert mean[:2].tolist() == [[2, 4], [2, 2]]
    assert best[:2].tolist() == [[4, 8], [2, 2]]
    assert mean[2].isnan().all()
    assert best[2].isnan().all()


def test_a_landmark_that_is_not_annotated_is_left_out() -> None:
    holes = SMALL.points.clone()
    holes[2] = math.nan
    template = LandmarkTemplate(SMALL.features, holes, SMALL.image_size)
    found = transfer_landmarks([template], LAST.features, LAST.image_size)
    assert found.isnan().any(1).tolist() == [k == 2 for k in range(7)]
    both = transfer_landmarks([template, LARGE], LAST.features, LAST.image_size)
    assert both.isfinite().all()
    assert torch.allclose(both[2], transfer_landmarks([LARGE], LAST.features, LAST.image_size)[2])
    kept = torch.arange(7) != 2
    fewer = LandmarkTemplate(SMALL.features, SMALL.points[kept], SMALL.image_size)
    assert landmark_transfer([template], LAST.features, LAST.points, LAST.image_size) == pytest.approx(
        landmark_transfer([fewer], LAST.features, LAST.points[kept], LAST.image_size)
    )
    unknown = landmark_transfer([SMALL], LAST.features, torch.full((7, 2), math.nan), LAST.image_size)
    assert all(math.isnan(value) for value in unknown.values())


def test_the_metric_is_the_mean_over_patients() -> None:
    metric = LandmarkTransfer(best_of_matches, (4, 8))
    errors = [
        metric([SMALL], p.features, p.points, p.image_size, patient=k)["error_px"] for k, p in enumerate((LARGE, LAST))
    ]
    assert metric.aggregate()["error_px"] == pytest.approx(sum(errors) / 2)
    assert len(set(metric.patients())) == 2


def test_templates_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1 annotated image, got none"):
        transfer_landmarks([], LAST.features, LAST.image_size)
    fewer = LandmarkTemplate(LARGE.features, LARGE.points[1:], LARGE.image_size)
    for call in (
        lambda: transfer_landmarks([SMALL, fewer], LAST.features, LAST.image_size),
        lambda: copy_landmarks([SMALL, fewer], LAST.image_size),
    ):
        with pytest.raises(ValueError, match=r"the same landmarks, got points of \[\(6, 2\), \(7, 2\)\]; put NaN"):
            call()
