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

from monai_lamps.metrics.anatomy import cell_centres, match_descriptors, mutual_matches, sample_features


def encoded(points: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Features that know their place: (N, n) px to (N, D), the cosine of two depends on their distance alone."""
    share = points.double() / torch.tensor(size)
    waves = torch.cat([share * math.pi * frequency for frequency in (1, 2, 4)], 1)
    return torch.cat([waves.sin(), waves.cos()], 1)


def knowing(grid: tuple[int, ...], size: tuple[int, ...]) -> torch.Tensor:
    return encoded(cell_centres(grid, size), size).T.reshape(-1, *grid)


@pytest.mark.parametrize(("grid", "size"), [((8, 10), (64, 120)), ((5, 6, 7), (20, 30, 21))])
def test_points_are_found_between_the_cells(grid: tuple[int, ...], size: tuple[int, ...]) -> None:
    cell = torch.tensor([side / cells for side, cells in zip(size, grid)])
    random = torch.rand(40, len(size), generator=torch.Generator().manual_seed(0))
    points = 1.2 * cell + random * (torch.tensor(size) - 2.4 * cell)  # the outermost cells are not refined
    found = match_descriptors(encoded(points, size) / (3 * len(size)) ** 0.5, knowing(grid, size), size)
    assert ((found.points - points).abs() / cell).max() < 0.12
    assert found.similarity.min() > 0.8
    assert found.similarity.max() <= 1.00001


def test_the_summit_of_the_parabola_is_the_place() -> None:
    angle = torch.tensor([0.9, 0.2, 0.5])  # cosines 0.62, 0.98 and 0.88 with the descriptor
    features = torch.stack([angle.cos(), angle.sin()])[:, None]  # (2, 1, 3)
    found = match_descriptors(torch.tensor([[1.0, 0.0]]), features, (4, 12))
    before, best, after = angle.cos().tolist()
    shift = (after - before) / (2 * (2 * best - before - after))
    assert found.points[0].tolist() == pytest.approx([1.5, 1.5 + 4 * (1 + shift)], abs=1e-4)
    assert float(found.similarity) == pytest.approx(best)


def test_at_the_border_and_on_flat_ground_the_centre_of_the_cell_stays() -> None:
    features = torch.tensor([[[1.0, 0.5, 0.0]], [[0.0, 0.5, 1.0]]])
    assert match_descriptors(torch.tensor([[1.0, 0.0]]), features, (1, 3)).points.tolist() == [[0, 0]]
    flat = match_descriptors(torch.tensor([[1.0, 0.0]]), torch.ones(2, 3, 3), (3, 3))
    assert flat.points.frac().abs().max() == 0


def test_many_descriptors_are_matched_like_one_by_one() -> None:
    features = torch.randn(4, 3, 5)
    descriptors = torch.nn.functional.normalize(torch.randn(2100, 4), dim=1)
    together = match_descriptors(descriptors, features, (30, 50))
    for k in (0, 1023, 1024, 2099):
        assert torch.allclose(
            together.points[k], match_descriptors(descriptors[k : k + 1], features, (30, 50)).points[0]
        )
    assert match_descriptors(descriptors[:0], features, (30, 50)).points.shape == (0, 2)


def test_the_length_of_a_feature_does_not_matter() -> None:
    features, scale = torch.randn(4, 5, 5), torch.rand(1, 5, 5) * 9 + 0.1
    descriptors = sample_features(features, torch.rand(9, 2) * 30, (30, 30))
    plain, scaled = (match_descriptors(descriptors, f, (30, 30)).points for f in (features, features * scale))
    assert torch.allclose(plain, scaled, atol=1e-2)


def test_mutual_matches_are_those_of_the_matrix_of_cosines() -> None:
    a, b = torch.randn(3, 4, 5), torch.randn(3, 6, 3)
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1).T[:, None], b.flatten(1).T[None], dim=2)
    expected = [(i, j) for i in range(20) for j in range(18) if cosine[i, j] == cosine[i].max() == cosine[:, j].max()]
    pairs = mutual_matches(a, b, (40, 50), (60, 30))
    assert len(expected) == len(pairs.points_a) > 0
    centres_a, centres_b = cell_centres((4, 5), (40, 50)), cell_centres((6, 3), (60, 30))
    for k, (i, j) in enumerate(expected):
        assert torch.equal(pairs.points_a[k], centres_a[i])
        assert (pairs.points_b[k] - centres_b[j]).abs().max() <= 5.001  # half a cell
        assert float(pairs.similarity[k]) == pytest.approx(float(cosine[i, j]), abs=1e-5)


def test_an_image_matches_itself_cell_by_cell() -> None:
    features = knowing((6, 7), (60, 70))
    pairs = mutual_matches(features, features, (60, 70))
    assert torch.equal(pairs.points_a, cell_centres((6, 7), (60, 70)))
    assert torch.allclose(pairs.points_b, pairs.points_a, atol=0.05)


def test_features_of_another_encoder_are_refused() -> None:
    with pytest.raises(ValueError, match=r"descriptors must be \(N, 3\) .* got \(2, 4\); use one encoder"):
        match_descriptors(torch.rand(2, 4), torch.rand(3, 5, 5), (9, 9))
    with pytest.raises(ValueError, match="use one encoder for both images"):
        mutual_matches(torch.rand(4, 5, 5), torch.rand(3, 5, 5), (9, 9))
