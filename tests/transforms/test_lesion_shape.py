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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import LesionShape


def painted(shape: LesionShape, centre: tuple[int, ...], image: tuple[int, ...]) -> torch.Tensor:
    opacity, box = torch.zeros(image), shape.box(centre, image)
    opacity[box] = shape.opacity(centre, box)
    return opacity


@pytest.mark.parametrize("image", [(64, 64), (48, 48, 48)])
def test_a_regular_one_is_an_ellipsoid_of_the_given_sides(image: tuple[int, ...]) -> None:
    sides = (30.0, 20.0, 24.0)[: len(image)]
    centre = tuple(side // 2 for side in image)
    opacity = painted(LesionShape(sides, rim=0.01, irregularity=0.0, seed=3), centre, image)
    expected = math.prod(sides) * (math.pi / 4 if len(image) == 2 else math.pi / 6)
    assert float(opacity.sum()) == pytest.approx(expected, rel=0.03)
    reached = torch.stack((opacity > 0.5).nonzero(as_tuple=True)) - torch.tensor(centre)[:, None]
    assert float(reached.square().sum(0).max()) ** 0.5 == pytest.approx(sides[0] / 2, abs=1)


def test_the_opacity_falls_from_the_middle_over_the_rim() -> None:
    shape = LesionShape((40.0, 40.0), rim=0.5, irregularity=0.0, seed=0)
    line = painted(shape, (32, 32), (64, 64))[32, 32:]
    assert torch.equal(line[:10], torch.ones(10))  # half of the half axis is full
    assert (line[11:20].diff() < 0).all()
    assert float(line[15]) == pytest.approx(0.5, abs=0.01)
    assert line[20:].max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(
    sides=st.lists(st.floats(1, 60), min_size=2, max_size=3),
    rim=st.floats(0.1, 1),
    irregularity=st.floats(0, 0.4),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_the_box_holds_the_whole_lesion(
    sides: list[float], rim: float, irregularity: float, seed: int, data: st.DataObject
) -> None:
    image = (30, 34, 26)[: len(sides)]
    centre = tuple(data.draw(st.integers(0, side - 1)) for side in image)
    shape = LesionShape(tuple(sides), rim, irregularity, seed)
    box = shape.box(centre, image)
    assert all(0 <= part.start <= place < part.stop <= side for part, place, side in zip(box, centre, image))
    opacity = shape.opacity(centre, box)
    assert opacity.shape == tuple(part.stop - part.start for part in box)
    assert opacity.min() >= 0
    assert opacity.max() <= 1
    assert opacity[tuple(place - part.start for place, part in zip(centre, box))] > 0.3
    for axis, (part, side) in enumerate(zip(box, image)):  # what lies at the box's end is not cut off
        if part.start > 0:
            assert not opacity.select(axis, 0).any()
        if part.stop < side:
            assert not opacity.select(axis, -1).any()


def test_the_seed_decides_direction_and_outline() -> None:
    first, again, other = (
        painted(LesionShape((30.0, 15.0), 0.5, 0.1, seed), (32, 32), (64, 64)) for seed in (5, 5, 2**32 - 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_irregular_outline_differs_from_the_ellipse_about_as_much_as_asked() -> None:
    plain, irregular = (
        painted(LesionShape((60.0, 60.0), 0.05, irregularity, 0), (40, 40), (80, 80)) for irregularity in (0.0, 0.1)
    )
    differing = float((plain - irregular).abs().sum())
    ring = math.pi * 60 * 0.1 * 30 * math.sqrt(2 / math.pi)  # circumference times the mean displacement
    assert 0.4 * ring < differing < 2 * ring
