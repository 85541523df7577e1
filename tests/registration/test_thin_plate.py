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

import pytest
import torch

from monai_lamps.registration import AffineFit, PointMap, RegistrationError, ThinPlateFit


def bent(points: torch.Tensor) -> torch.Tensor:
    """A turn, a shift and a bulge of 12 px."""
    bulge = torch.exp(-((points - 100) ** 2).sum(1, keepdim=True) / (2 * 40**2))
    return points @ torch.tensor([[1.0, 0.1], [-0.1, 1.0]], dtype=points.dtype) + 4 + 12 * bulge


def grid(side: int) -> torch.Tensor:
    axis = torch.linspace(0, 200, side, dtype=torch.float64)
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)


def test_a_bulge_is_followed_where_an_affine_map_cannot() -> None:
    fixed, asked = grid(12), grid(30)
    deformable, affine = ThinPlateFit(0.001)(fixed, bent(fixed), 8.0), AffineFit()(fixed, bent(fixed), 8.0)
    assert (deformable(asked) - bent(asked)).norm(dim=1).max() < 1.5
    assert (affine(asked) - bent(asked)).norm(dim=1).max() > 6


def test_without_smoothing_it_runs_through_every_match_and_with_much_it_is_affine() -> None:
    fixed = grid(8)
    through = ThinPlateFit(0.0)(fixed, bent(fixed), 8.0)
    assert torch.allclose(through(fixed), bent(fixed), atol=1e-6)
    stiff, asked = ThinPlateFit(1e9)(fixed, bent(fixed), 8.0), grid(5)
    design = torch.cat([asked, torch.ones(25, 1, dtype=torch.float64)], 1)
    fit = torch.linalg.lstsq(design, stiff(asked)).solution
    assert torch.allclose(design @ fit, stiff(asked), atol=1e-3)


def test_smoothing_averages_the_noise_of_the_matches() -> None:
    fixed = grid(15)
    noisy = bent(fixed) + 3 * torch.randn(fixed.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = [(ThinPlateFit(s)(fixed, noisy, 8.0)(fixed) - bent(fixed)).square().mean() for s in (0.0, 0.1)]
    assert errors[1] < 0.5 * errors[0]


def test_the_same_bending_at_another_resolution() -> None:
    fixed, asked = grid(10), grid(7)
    small = ThinPlateFit()(fixed, bent(fixed), 8.0)(asked)
    large = ThinPlateFit()(fixed * 5, bent(fixed) * 5, 40.0)(asked * 5)
    assert torch.allclose(large / 5, small, atol=1e-6)


def test_matches_far_from_the_affine_map_are_left_out() -> None:
    fixed = grid(10)
    moving = fixed.clone()
    moving[44] += 60
    found = ThinPlateFit(0.0)(fixed, moving, 5.0)
    assert torch.allclose(found(fixed), fixed, atol=1e-6)


def test_it_works_in_three_dimensions() -> None:
    axis = torch.linspace(0, 30, 5, dtype=torch.float64)
    fixed = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).flatten(0, 2)
    moving = fixed + torch.sin(fixed / 10)
    assert torch.allclose(ThinPlateFit(0.0)(fixed, moving, 3.0)(fixed), moving, atol=1e-6)


def test_matches_on_a_line_span_no_plane() -> None:
    def same(fixed: torch.Tensor, moving: torch.Tensor, tolerance: float) -> PointMap:
        return lambda points: points

    line = torch.arange(9.0)[:, None].expand(9, 2)
    with pytest.raises(RegistrationError, match="the 9 matches that agree span no 2-D region"):
        ThinPlateFit(affine=same)(line, line, 1.0)
    with pytest.raises(RegistrationError, match="needs at least 3 matches"):
        ThinPlateFit()(line[:1], line[:1], 1.0)


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="smoothing must be at least 0, got -1"):
        ThinPlateFit(smoothing=-1)
    with pytest.raises(ValueError, match=r"reach must be at least 1, got 0.5"):
        ThinPlateFit(reach=0.5)
