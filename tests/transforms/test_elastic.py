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
import pytest
import torch
from scipy import ndimage

from monai_lamps.transforms.elastic import elastic_std, lattice_shape, smooth_noise, warp


def test_the_strength_is_that_of_the_published_recipe() -> None:
    noise = np.random.RandomState(0).uniform(-1, 1, (6, 300, 300))
    published = np.stack([ndimage.gaussian_filter(n, 6) for n in noise]) * 30
    assert elastic_std(30, 6) == pytest.approx(0.814, abs=0.001)
    assert published[:, 30:-30, 30:-30].std() == pytest.approx(elastic_std(30, 6), rel=0.08)


def test_the_field_has_unit_variance_everywhere_and_the_published_correlation() -> None:
    shape, sigma = (40, 33), 6.0
    generator = torch.Generator().manual_seed(0)
    noise = (torch.rand(4000, 1, *lattice_shape(shape, sigma), generator=generator) * 2 - 1) * 3**0.5
    field = smooth_noise(noise, shape, sigma)[:, 0]
    variance = field.var(0)
    assert field.mean(0).abs().max() < 0.08
    assert float(variance.min()) > 0.85
    assert float(variance.max()) < 1.15
    for lag in (3, 6, 12, 20):
        measured = float((field[:, 10, 5] * field[:, 10, 5 + lag]).mean())
        assert measured == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.07)


def test_without_displacement_the_image_stays() -> None:
    for shape in ((2, 1, 9, 12), (2, 1, 5, 6, 7)):
        x, n = torch.rand(shape), len(shape) - 2
        out = warp(x, torch.zeros(2, n, *shape[2:]), torch.zeros(2, n + 1, n))
        assert torch.allclose(out, x, atol=1e-5)


def test_a_displacement_field_moves_along_the_axis_it_names() -> None:
    x = torch.rand(1, 1, 6, 9)
    shift = torch.zeros(1, 2, 6, 9)
    shift[:, 0] = 1
    assert torch.allclose(warp(x, shift, torch.zeros(1, 3, 2))[:, :, :-1], x[:, :, 1:], atol=1e-5)
    assert torch.allclose(warp(x, shift.flip(1), torch.zeros(1, 3, 2))[..., :-1], x[..., 1:], atol=1e-5)


@pytest.mark.parametrize("shape", [(31, 25), (13, 16, 19)])
def test_the_affine_map_carries_each_control_point_by_its_displacement(shape: tuple[int, ...]) -> None:
    n, half = len(shape), min(shape) / 3
    axes = [torch.arange(side, dtype=torch.float64) for side in shape]
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]  # each pixel shows its own coordinates
    corners = torch.rand(1, n + 1, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5
    out = warp(x, torch.zeros(1, n, *shape, dtype=torch.float64), corners)
    # fit the affine map that the interior shows, then ask it for the control points
    inner = (slice(None), *[slice(4, -4)] * n)
    points = x[0][inner].flatten(1).T
    design = torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], 1)
    fit = torch.linalg.lstsq(design, out[0][inner].flatten(1).T).solution
    centre = torch.tensor([(side - 1) / 2 for side in shape], dtype=torch.float64)
    for k in range(n + 1):
        sign = torch.tensor([-1.0 if axis < k else 1.0 for axis in range(n)], dtype=torch.float64)
        point = centre + half * sign
        moved = torch.cat([point, torch.ones(1, dtype=torch.float64)]) @ fit
        assert torch.allclose(moved - point, corners[0, k], atol=1e-6)


def test_beyond_the_border_the_image_is_mirrored() -> None:
    x = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 3, 5)
    shift = torch.zeros(1, 2, 3, 5)
    shift[:, 1] = 2
    assert torch.allclose(warp(x, shift, torch.zeros(1, 3, 2))[0, 0, 1], torch.tensor([2.0, 3, 4, 3, 2]), atol=1e-5)


def test_noise_of_another_lattice_is_refused() -> None:
    with pytest.raises(ValueError, match="ask lattice_shape"):
        smooth_noise(torch.zeros(1, 2, 4, 4), (40, 40), 6.0)
