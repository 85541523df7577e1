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

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, chord, flesh, onward
from monai_lamps.data.phantom.frame import Frame

STILL = Frame()  # no shift, turn or bending: a pixel's canonical place is its place in the image
SIZE = 64


def at(plane: Plane, x: float, y: float) -> tuple[int, int]:
    return int(y * plane.size), int((x + 0.5) * plane.size)


def test_the_plane_has_the_middle_of_the_image_at_zero_and_may_be_mirrored() -> None:
    plane, mirrored = Plane(STILL, SIZE), Plane(STILL, SIZE, mirrored=True)
    assert plane.x[0, 0] == pytest.approx(-0.5 + 0.5 / SIZE)
    assert plane.y[0, 0] == pytest.approx(0.5 / SIZE)
    np.testing.assert_allclose(mirrored.x, plane.x[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_window_of_a_bone_cuts_nothing_off(mirrored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame(scale=1.1, breadth=0.95, angle=0.3, shift=(0.05, -0.02), bend_x=((0.006, 0.8, 1.0),))

    def drawn() -> np.ndarray:
        bones = Bones(Plane(frame, SIZE, mirrored), 10.0)
        bones.shaft((-0.1, 0.3), (0.2, 0.7), (0.05, 0.04), 0.03)
        bones.lump((0.15, 0.2), (0.08, 0.03), 0.7)
        bones.plate([(-0.3, 0.6), (-0.1, 0.6), (-0.1, 0.9), (-0.3, 0.9)], 0.05)
        bones.stroke([(-0.3, 0.2), (-0.2, 0.4), (-0.35, 0.5)], [0.03, 0.02, 0.04])
        return bones.total

    within = drawn()
    monkeypatch.setattr(Plane, "window", lambda plane, points, margin: (slice(0, SIZE), slice(0, SIZE)))
    np.testing.assert_allclose(within, drawn(), atol=1e-6)
    assert within.max() > 0.1


def test_a_chord_is_that_of_a_round_body_with_a_flat_middle() -> None:
    np.testing.assert_allclose(chord(np.array([-1.0, 0.0, 0.5, 1.0, 3.0]), 1.0), [0, 0, np.sqrt(0.75), 1, 1])


def test_a_ray_passes_dense_wall_and_spongy_middle() -> None:
    plane = Plane(STILL, SIZE)
    bones = Bones(plane, density=2.0, spongy=0.25)
    bones.lump((0.0, 0.5), (0.2, 0.2), wall=0.5)
    half = 0.2 - 0.5 / SIZE * np.sqrt(2)  # the pixel nearest to the middle lies this deep
    way = 0.2 * chord(np.array(half), 0.2) - 0.75 * 0.1 * chord(np.array(half - 0.1), 0.1)
    assert bones.total[at(plane, 0.0, 0.5)] == pytest.approx(2.0 * float(way), rel=1e-4)
    again = Bones(plane, density=2.0, spongy=0.25)
    again.lump((0.0, 0.5), (0.2, 0.2), wall=0.5, share=0.5)
    np.testing.assert_allclose(again.total, bones.total / 2, atol=1e-6)


def test_a_shaft_is_wide_at_its_ends_and_open_at_a_growth_plate() -> None:
    plane = Plane(STILL, 256)
    bones = Bones(plane, 10.0)
    bones.shaft((0.0, 0.1), (0.0, 0.9), (0.10, 0.08), 0.04)
    wide = (bones.total > 0).sum(1) / 256
    assert wide[at(plane, 0, 0.15)[0]] == pytest.approx(0.20, abs=0.025)
    assert wide[at(plane, 0, 0.50)[0]] == pytest.approx(0.08, abs=0.012)
    assert wide[at(plane, 0, 0.86)[0]] == pytest.approx(0.16, abs=0.025)
    assert not wide[: at(plane, 0, 0.09)[0]].any()
    assert not wide[at(plane, 0, 0.92)[0] :].any()
    young = Bones(plane, 10.0)
    young.shaft((0.0, 0.1), (0.0, 0.9), (0.10, 0.08), 0.04, gap=1.0)
    assert young.total[at(plane, 0.0, 0.19)] < 0.2 * bones.total[at(plane, 0.0, 0.19)]
    np.testing.assert_allclose(young.total[at(plane, 0, 0.5)[0] :], bones.total[at(plane, 0, 0.5)[0] :], atol=1e-5)


def test_a_plate_fills_its_contour() -> None:
    plane = Plane(STILL, 128)
    bones = Bones(plane, 10.0)
    bones.plate([(0.2 * np.sin(a), 0.5 - 0.2 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 24, endpoint=False)], 0.05)
    disc = np.hypot(plane.x, plane.y - 0.5) < 0.2
    assert np.mean((bones.total > 0) != disc) < 0.01
    assert bones.total[64, 64] == pytest.approx(10.0 * (0.05 - 0.5 * 0.042), rel=1e-4)


def test_flesh_lies_round_the_axis_of_a_limb() -> None:
    plane = Plane(STILL, SIZE)
    soft = flesh(plane, [([(0.0, 0.2), (0.0, 0.8)], [0.1, 0.2])], depth=0.1)
    assert soft[at(plane, 0.0, 0.3)] == pytest.approx(1.0, abs=0.01)
    assert soft[at(plane, 0.15, 0.25)] == 0
    assert soft[at(plane, 0.15, 0.75)] > 0


def test_onward_turns_clockwise_from_upwards() -> None:
    assert onward((0.1, 0.5), 0.0, 0.2) == pytest.approx((0.1, 0.3))
    assert onward((0.1, 0.5), np.pi / 2, 0.2) == pytest.approx((0.3, 0.5))
