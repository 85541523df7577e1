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

from monai_lamps.transforms.elastic import (
    add_smooth_noise,
    affine_grid,
    affine_map,
    elastic_std,
    lattice_shape,
    lattice_weights,
    warp,
)


def deform(x: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """The affine step alone."""
    return warp(x, affine_grid(*affine_map(corners, x.shape[2:]), x.shape[2:]))


def smooth(noise: torch.Tensor, shape: tuple[int, ...], sigma: float) -> torch.Tensor:
    field = torch.zeros(len(noise), *shape, noise.shape[1], dtype=noise.dtype)
    return add_smooth_noise(field, noise, lattice_weights(shape, sigma, noise)).movedim(-1, 1)


def test_the_strength_is_that_of_the_published_recipe() -> None:
    noise = np.random.RandomState(0).uniform(-1, 1, (6, 300, 300))
    published = np.stack([ndimage.gaussian_filter(n, 6) for n in noise]) * 30
    assert elastic_std(30, 6) == pytest.approx(0.814, abs=0.001)
    assert published[:, 30:-30, 30:-30].std() == pytest.approx(elastic_std(30, 6), rel=0.08)


def test_the_field_has_unit_variance_everywhere_and_the_published_correlation() -> None:
    shape, sigma = (40, 33), 6.0
    generator = torch.Generator().manual_seed(0)
    noise = (torch.rand(4000, 1, *lattice_shape(shape, sigma), generator=generator) * 2 - 1) * 3**0.5
    field = smooth(noise, shape, sigma)[:, 0]
    variance = field.var(0)
    assert field.mean(0).abs().max() < 0.08
    assert float(variance.min()) > 0.85
    assert float(variance.max()) < 1.15
    for lag in (3, 6, 12, 20):
        measured = float((field[:, 10, 5] * field[:, 10, 5 + lag]).mean())
        assert measured == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.07)


@pytest.mark.parametrize("shape", [(17, 12), (9, 7, 11)])
def test_each_node_of_the_lattice_carries_a_gaussian_along_every_axis(shape: tuple[int, ...]) -> None:
    sigma, lattice = 3.0, lattice_shape(shape, 3.0)
    noise = torch.rand(2, 3, *lattice, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
    expected = noise.numpy()
    for axis, (side, nodes) in enumerate(zip(shape, lattice, strict=True)):
        node = np.arange(nodes) * 1.25 * sigma - 3 * sigma
        weight = np.exp(-((np.arange(side)[:, None] - node) ** 2) / (2 * sigma**2))
        weight /= np.sqrt((weight**2).sum(1, keepdims=True))
        expected = np.moveaxis(np.tensordot(weight, expected, (1, axis + 2)), 0, axis + 2)
    assert np.allclose(smooth(noise, shape, sigma).numpy(), expected, atol=1e-12)


def test_the_noise_is_added_to_what_the_field_holds() -> None:
    shape, sigma = (9, 8), 2.0
    noise = torch.rand(1, 2, *lattice_shape(shape, sigma))
    field = torch.rand(1, *shape, 2)
    before, weights = field.clone(), lattice_weights(shape, sigma, noise)
    assert add_smooth_noise(field, noise, weights) is field
    assert torch.allclose(field, before + smooth(noise, shape, sigma).movedim(1, -1), atol=1e-6)


def test_without_displacement_the_image_stays() -> None:
    for shape in ((2, 1, 9, 12), (2, 1, 5, 6, 7), (1, 1, 1, 4)):
        x, n = torch.rand(shape), len(shape) - 2
        assert torch.allclose(deform(x, torch.zeros(len(x), n + 1, n)), x, atol=1e-5)


def test_a_displacement_moves_along_the_axis_it_names() -> None:
    x, along_rows = torch.rand(1, 1, 6, 9), torch.tensor([1.0, 0]).expand(1, 3, 2)
    assert torch.allclose(deform(x, along_rows)[:, :, :-1], x[:, :, 1:], atol=1e-5)
    assert torch.allclose(deform(x, along_rows.flip(-1))[..., :-1], x[..., 1:], atol=1e-5)


@pytest.mark.parametrize("shape", [(31, 25), (13, 16, 19)])
def test_the_affine_map_carries_each_control_point_by_its_displacement(shape: tuple[int, ...]) -> None:
    n, half = len(shape), min(shape) / 3
    axes = [torch.arange(side, dtype=torch.float64) for side in shape]
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]  # each pixel shows its own coordinates
    corners = torch.rand(1, n + 1, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5
    out = deform(x, corners)
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
    along_columns = torch.tensor([0.0, 2]).expand(1, 3, 2)
    assert torch.allclose(deform(x, along_columns)[0, 0, 1], torch.tensor([2.0, 3, 4, 3, 2]), atol=1e-5)


def test_noise_of_another_lattice_is_refused() -> None:
    noise = torch.zeros(1, 2, 4, 4)
    with pytest.raises(
        ValueError, match=r"noise must be \(B, F, \*\(11, 11\)\), got \(1, 2, 4, 4\); ask lattice_shape"
    ):
        add_smooth_noise(torch.zeros(1, 40, 40, 2), noise, lattice_weights((40, 40), 6.0, noise))
