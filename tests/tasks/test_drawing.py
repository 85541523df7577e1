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

from monai_lamps.tasks.curves import draw_curves
from monai_lamps.tasks.overlay import best_median_worst, captioned, glowing, outline, overlay, row_of

NAN = float("nan")


def test_the_outline_of_a_mask_is_inside_it_and_the_border_of_the_image_is_an_edge() -> None:
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:7, :5] = True
    found = outline(mask)
    expected = mask.clone()
    expected[3:6, 1:4] = False
    assert torch.equal(found, expected)
    assert outline(mask, width=3).equal(mask)


def test_of_a_volume_the_central_slice_is_drawn() -> None:
    image = torch.linspace(0, 1, 4)[:, None, None].expand(1, 4, 6, 6)
    nothing = torch.zeros(4, 6, 6, dtype=torch.bool)
    assert torch.allclose(overlay(image, nothing, nothing), torch.full((3, 6, 6), 2 / 3))


def test_a_map_glows_where_it_is_strong_and_leaves_the_image_elsewhere() -> None:
    image, strength = torch.full((1, 1, 3), 0.5), torch.tensor([[[0.0, 0.5, 1.0]]])
    none, middling, strong = glowing(image, strength)[:, 0].T.tolist()
    assert none == [0.5, 0.5, 0.5]
    assert middling == pytest.approx([0.675, 0.4125, 0.325])  # 35 % of (1, 0.25, 0)
    assert strong == pytest.approx([0.85, 0.85, 0.15])  # 70 % of yellow


def test_a_caption_is_a_strip_with_text_above_the_picture() -> None:
    picture = torch.rand(3, 20, 150)
    drawn = captioned(picture, "best: Lungenödem 肺")
    assert torch.equal(drawn[:, 14:], picture)
    assert 0 < drawn[:, :14].mean() < 0.5


def test_a_small_picture_is_enlarged_so_that_there_is_room_for_its_caption() -> None:
    picture = torch.rand(3, 20, 60)
    drawn = captioned(picture, "median: dice 0.853")
    assert drawn.shape == (3, 3 * 20 + 14, 3 * 60)
    assert torch.equal(drawn[:, 14::3, ::3], picture)
    assert drawn[:, :14, -3:].max() == 0  # the text ends before the picture does


def test_pictures_lie_side_by_side() -> None:
    row = row_of([torch.ones(1, 2, 3), torch.ones(1, 2, 4)], gap=1)
    assert row[0, 0].tolist() == [1, 1, 1, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.1, NAN, 0.9, 0.5], {"best": 2, "median": 3, "worst": 0}),
        ([0.1, 0.2, 0.3, 0.4], {"best": 3, "median": 2, "worst": 0}),
        ([0.1, 0.9], {"best": 1, "worst": 0}),
        ([NAN, 0.9], {"best": 1}),
        ([NAN], {}),
    ],
)
def test_the_chosen_cases(scores: list[float], expected: dict[str, int]) -> None:
    assert best_median_worst(scores) == expected


def test_a_curve_is_drawn_where_its_points_lie() -> None:
    picture = draw_curves({"flat": ([0.0, 1.0], [0.5, 0.5])}, "x", "y", side=100)
    assert picture.shape == (3, 160, 100 + 60 + 190)
    assert float(picture.min()) >= 0
    row = picture[:, 30 + 50, 40:45]  # half way up, coloured
    assert (row.max(0).values - row.min(0).values > 0.5).all()
    above = picture[:, 30 + 35, 40:45]
    assert torch.equal(above, torch.ones_like(above))


def test_points_without_a_value_are_left_out_and_many_classes_make_it_higher() -> None:
    gap = draw_curves({"a": ([0.0, 0.5, 1.0], [0.0, NAN, 1.0])}, "x", "y", side=60)
    assert torch.equal(gap[:, :, :90], draw_curves({"a": ([0.0, 1.0], [0.0, 1.0])}, "x", "y", side=60)[:, :, :90])
    assert draw_curves({str(n): ([0.0], [0.0]) for n in range(40)}, "x", "y").shape[1] == 12 * 43


def test_a_curve_outside_the_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the curve 'roc' must lie in \[0, 1\], got \[0, 2\]"):
        draw_curves({"roc": (np.array([0.0, 2.0]), np.array([0.0, 1.0]))}, "x", "y")
