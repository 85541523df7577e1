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

from monai_lamps.metrics.evidence import (
    Blurred,
    Constant,
    PerturbationCurves,
    curve_area,
    deletion_curve,
    insertion_curve,
)


def score(images: torch.Tensor) -> torch.Tensor:
    """Share of a bright square in the top left quarter that is still to be seen."""
    return images[:, 0, :4, :4].mean(dim=(1, 2))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.ones(2, 1, 8, 8)


@pytest.fixture
def maps() -> torch.Tensor:
    """One explanation that knows the square, one that thinks the opposite."""
    inside = torch.zeros(1, 1, 8, 8)
    inside[..., :4, :4] = 1
    return torch.cat([inside, 1 - inside])


def test_deletion_hides_the_strongest_evidence_first(images: torch.Tensor, maps: torch.Tensor) -> None:
    curves = deletion_curve(score, images, maps, steps=4)
    assert curves.tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 1, 0]]
    assert curve_area(curves).tolist() == [pytest.approx(1 / 8), pytest.approx(7 / 8)]


def test_insertion_shows_the_strongest_evidence_first(images: torch.Tensor, maps: torch.Tensor) -> None:
    curves = insertion_curve(score, images, maps, steps=4, baseline=Constant(0))
    assert curves.tolist() == [[0, 1, 1, 1, 1], [0, 0, 0, 0, 1]]


def test_a_constant_map_hides_pixels_without_a_plan(images: torch.Tensor) -> None:
    curve = deletion_curve(score, images, torch.ones(2, 1, 8, 8), steps=8)
    assert curve[0].tolist() == curve[1].tolist()
    assert float(curve_area(curve)[0]) == pytest.approx(0.5, abs=0.1)
    assert curve[0, 4] == pytest.approx(0.5, abs=0.25)  # in the order of rows it would be 0


def test_a_curve_equals_a_plain_loop_over_sorted_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    image, map_ = torch.rand(1, 2, 4, 4, generator=generator), torch.rand(1, 1, 4, 4, generator=generator)
    expected, now = [float(score(image))], image.clone()
    order = map_.flatten().argsort(descending=True).tolist()
    for step in range(1, 9):
        for pixel in order[: step * 2]:
            now[0, :, pixel // 4, pixel % 4] = 0.3
        expected.append(float(score(now)))
    assert deletion_curve(score, image, map_, 8, Constant(0.3))[0].tolist() == pytest.approx(expected)


def test_volumes_have_curves_too() -> None:
    curve = deletion_curve(lambda x: x.mean(dim=(1, 2, 3, 4)), torch.ones(1, 1, 4, 4, 4), torch.rand(1, 1, 4, 4, 4), 4)
    assert curve[0].tolist() == [1, 0.75, 0.5, 0.25, 0]


def test_a_blurred_image_keeps_what_is_even_and_loses_what_is_small() -> None:
    image = torch.full((1, 1, 32, 32), -2.0)
    assert torch.allclose(Blurred()(image), image)
    image[0, 0, 16, 16] = 5
    assert float(Blurred(0.1)(image).max()) < -1.8
    with pytest.raises(ValueError, match="share must be above 0, got 0"):
        Blurred(0)


def test_the_metric_gives_the_mean_areas(images: torch.Tensor, maps: torch.Tensor) -> None:
    metric = PerturbationCurves(steps=4, insertion=Constant(0))
    found = metric(score, images, maps, ["a", "b"])
    assert found["deletion"].tolist() == [pytest.approx(1 / 8), pytest.approx(7 / 8)]
    assert metric.aggregate() == {"deletion": pytest.approx(0.5), "insertion": pytest.approx(0.5)}


def test_wrong_use_is_named(images: torch.Tensor, maps: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        deletion_curve(score, images, maps, 0)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        PerturbationCurves(0)
    with pytest.raises(ValueError, match=r"must be of the same size, got \(2, 1, 8, 8\) and \(2, 1, 8, 4\)"):
        deletion_curve(score, images, maps[..., :4])
    with pytest.raises(ValueError, match="maps must be finite and at least 0"):
        insertion_curve(score, images, -maps)
