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

from monai_lamps.data.phantom import draw_thorax
from monai_lamps.data.phantom.body_parts import BODY_PARTS, draw_body_part
from monai_lamps.data.phantom.body_parts.drawing import side_and_view
from monai_lamps.data.phantom.body_parts.foot import draw_foot
from monai_lamps.data.phantom.body_parts.hand import draw_hand
from monai_lamps.data.phantom.body_parts.knee import draw_knee
from monai_lamps.data.phantom.body_parts.shapes import Plane
from monai_lamps.data.phantom.frame import Frame

PAIRED = {"hand": "PA", "knee": "AP", "foot": "AP"}
DRAWN = [part for part in BODY_PARTS if part != "chest"]


@pytest.fixture(scope="module")
def drawings() -> dict[str, list]:
    return {part: [draw_body_part(part, index, 64, seed=3) for index in range(12)] for part in BODY_PARTS}


def test_images_lie_in_the_unit_range_and_are_not_flat(drawings: dict[str, list]) -> None:
    for part, drawn in drawings.items():
        for drawing in drawn:
            assert drawing.part == part
            assert drawing.image.shape == (1, 64, 64)
            assert drawing.image.dtype == np.float32
            assert 0 <= drawing.image.min() <= drawing.image.max() <= 1
            assert drawing.image.std() > 0.03


def test_an_image_is_a_function_of_part_index_and_seed(drawings: dict[str, list]) -> None:
    for part in DRAWN:
        again = draw_body_part(part, 5, 64, seed=3)
        np.testing.assert_array_equal(again.image, drawings[part][5].image)
        assert np.abs(draw_body_part(part, 5, 64, seed=4).image - again.image).mean() > 0.01
        assert np.abs(drawings[part][6].image - again.image).mean() > 0.01


@pytest.mark.parametrize("part", DRAWN)
def test_a_patient_is_the_same_at_every_size(part: str) -> None:
    large, small = draw_body_part(part, 2, 192).image[0], draw_body_part(part, 2, 64).image[0]
    reduced = large.reshape(32, 6, 32, 6).mean((1, 3)), small.reshape(32, 2, 32, 2).mean((1, 3))  # less of the noise
    assert np.corrcoef(reduced[0].ravel(), reduced[1].ravel())[0, 1] > 0.95


def test_the_chest_is_that_of_the_thorax_phantom() -> None:
    drawing = draw_body_part("chest", 4, 48, seed=1)
    np.testing.assert_array_equal(drawing.image, draw_thorax(4, 48, 1))
    assert (drawing.laterality, drawing.view) == ("", "PA")


def test_both_sides_occur_of_what_is_paired_and_none_of_the_rest(drawings: dict[str, list]) -> None:
    for part, drawn in drawings.items():
        assert {drawing.laterality for drawing in drawn} == ({"L", "R"} if part in PAIRED else {""})
        for index, drawing in enumerate(drawn):
            assert (drawing.laterality, drawing.view) == side_and_view(part, index, 3)
            assert drawing.view == PAIRED.get(part, drawing.view)


@pytest.mark.parametrize("draw", [draw_hand, draw_knee, draw_foot])
def test_a_right_limb_is_a_mirrored_left_one(draw) -> None:
    left, right = (draw(Plane(Frame(), 96, mirrored), np.random.default_rng(7)) for mirrored in (False, True))
    flipped = np.corrcoef(left.ravel(), right[:, ::-1].ravel())[0, 1]
    assert flipped > 0.995  # all but the texture
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] < flipped - 0.002


def test_thumb_great_toe_and_fibula_tell_the_side() -> None:
    still = Plane(Frame(), 128)
    hand, knee, foot = (draw(still, np.random.default_rng(1)) for draw in (draw_hand, draw_knee, draw_foot))
    thumb = slice(int(0.50 * 128), int(0.62 * 128))
    assert hand[thumb, 96:].max() > 0.2  # the thumb of a left hand lies to the right
    assert hand[thumb, :32].max() < 0.05
    calf = knee[int(0.85 * 128)]
    assert calf[int(0.66 * 128)] > calf[int(0.34 * 128)] + 0.05  # the fibula of a left knee lies to the right
    toes = foot[int(0.28 * 128)]
    assert toes[70:].max() > 1.2 * toes[:58].max()  # the great toe of a left foot lies to the right


def test_parts_are_told_apart_by_their_mean_image(drawings: dict[str, list]) -> None:
    def coarse(drawing) -> np.ndarray:
        pixels = drawing.image[0].reshape(16, 4, 16, 4).mean((1, 3)).ravel()
        return (pixels - pixels.mean()) / pixels.std()

    features = {part: np.stack([coarse(drawing) for drawing in drawn]) for part, drawn in drawings.items()}
    means = np.stack([rows[:6].mean(0) for rows in features.values()])
    right = [
        int(((means - row) ** 2).sum(1).argmin()) == number
        for number, rows in enumerate(features.values())
        for row in rows[6:]
    ]
    assert np.mean(right) > 0.8  # chance is 1 in 7; hand and foot are alike at this size


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ("elbow", 0),
            ValueError,
            "body part got 'elbow', expected one of chest, hand, knee, foot, spine, pelvis, jaw",
        ),
        (("hand", -1), ValueError, "index must not be negative, got -1"),
        (("hand", 0, 31), ValueError, "size must be at least 32 pixels, got 31"),
        (("hand", 0, 64, -1), ValueError, "seed must not be negative, got -1"),
        (("hand", 0, 64.0), TypeError, r"size must be an integer, got 64\.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw_body_part(*arguments)
