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

import pytest
import torch
import torch.nn.functional as F

from monai_lamps.metrics.anatomy import cell_centres, cell_sides, inside, sample_features


def test_cells_lie_evenly_on_the_image_in_row_major_order() -> None:
    assert cell_centres((2, 3), (4, 12)).tolist() == [
        [0.5, 1.5],
        [0.5, 5.5],
        [0.5, 9.5],
        [2.5, 1.5],
        [2.5, 5.5],
        [2.5, 9.5],
    ]
    assert cell_centres((5,), (5,)).flatten().tolist() == [0, 1, 2, 3, 4]
    assert cell_sides((2, 3), (4, 12)).tolist() == [2, 4]


@pytest.mark.parametrize("grid", [(5, 4), (3, 4, 2)])
def test_at_a_cells_centre_its_own_unit_vector_is_sampled(grid: tuple[int, ...]) -> None:
    features, size = torch.randn(6, *grid), [side * 7 for side in grid]
    found = sample_features(features, cell_centres(grid, size), size)
    assert torch.allclose(found, F.normalize(features, dim=0).flatten(1).T, atol=1e-5)


def test_between_cells_unit_vectors_are_mixed_and_beyond_the_last_it_goes_on() -> None:
    features = torch.tensor([[[2.0, 0.0]], [[0.0, 7.0]]])  # (2, 1, 2): two perpendicular cells of different lengths
    middle, quarter, edge = sample_features(features, torch.tensor([[0.0, 3.5], [0, 2.5], [0, 7.4]]), (4, 8))
    assert torch.allclose(middle, torch.tensor([0.5**0.5, 0.5**0.5]), atol=1e-5)
    assert float(quarter[1] / quarter[0]) == pytest.approx(1 / 3, abs=1e-5)
    assert torch.allclose(edge, torch.tensor([0.0, 1.0]), atol=1e-5)


def test_the_image_reaches_half_a_pixel_beyond_the_outer_centres() -> None:
    points = torch.tensor([[-0.5, 0], [9.5, 4.5], [-0.6, 0], [0, 4.6], [math.nan, 1]])
    assert inside(points, (10, 5)).tolist() == [True, True, False, False, False]


def test_wrong_maps_and_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"features must be \(D, h, w\) .* got \(1, 2, 3, 3\) and image size \(9, 9\)"):
        sample_features(torch.rand(1, 2, 3, 3), torch.rand(2, 2), (9, 9))
    with pytest.raises(ValueError, match="image_size must be positive, got"):
        sample_features(torch.rand(2, 3, 3), torch.rand(2, 2), (9, 0))
    with pytest.raises(ValueError, match="features must be finite"):
        sample_features(torch.full((2, 3, 3), math.nan), torch.rand(2, 2), (9, 9))
    with pytest.raises(ValueError, match=r"points must be \(N, 2\) px, .* got \(2, 3\)"):
        sample_features(torch.rand(2, 3, 3), torch.rand(2, 3), (9, 9))
