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
from scipy.ndimage import distance_transform_edt

from monai_lamps.data.phantom import (
    LANDMARKS,
    draw_annotated_thorax,
    draw_thorax,
)


@pytest.mark.parametrize("name", ["right_lung", "left_lung", "heart", "right_clavicle", "left_clavicle"])
def test_landmarks_lie_on_the_border_of_their_mask(drawings, name, mask):
    for index in range(12):
        drawing = draw_annotated_thorax(index, 256, seed=3)
        region, body = mask(drawing, name), mask(drawing, "body")
        distance = np.maximum(distance_transform_edt(region), distance_transform_edt(~region))
        points = np.rint(drawing.landmarks[name]).astype(int)
        seen = ((points >= 3) & (points < 253)).all(1)
        points = points[seen]
        points = points[distance_transform_edt(body)[points[:, 0], points[:, 1]] > 3]
        assert len(points) >= 3
        assert distance[points[:, 0], points[:, 1]].max() <= 3.0


def test_landmark_names_and_numbers_are_constant(drawings):
    for drawing in drawings:
        assert {name: len(points) for name, points in drawing.landmarks.items()} == LANDMARKS
        assert all(points.shape[1] == 2 and points.dtype == np.float32 for points in drawing.landmarks.values())
        assert (np.diff(drawing.landmarks["vertebrae"][:, 0]) > 0).all()


def test_carina_is_the_lower_end_of_the_trachea(drawings, mask):
    for drawing in drawings:
        rows = np.nonzero(mask(drawing, "trachea"))[0]
        assert drawing.landmarks["carina"][0, 0] == pytest.approx(rows.max(), abs=3)


def test_opacities_lie_in_the_lungs_and_brighten_them(drawings, mask):
    for index, drawing in enumerate(drawings):
        lungs, region = mask(drawing, "right_lung") | mask(drawing, "left_lung"), drawing.opacity_mask[0]
        assert region.any() == (index % 2 == 1)
        assert not (region & ~lungs).any()
        if region.any():
            clean = draw_thorax(index, drawing.image.shape[1], seed=3)[0]
            assert (drawing.image[0] - clean)[region].mean() > 0.02
            far = distance_transform_edt(~lungs) > 3  # the focus spreads the edge by a pixel or two
            assert np.array_equal(drawing.image[0][far], clean[far])


def test_opacity_boxes_enclose_the_mask_and_absent_ones_are_zero(drawings):
    for drawing in drawings:
        region, covered = drawing.opacity_mask[0], np.zeros(drawing.image.shape[1:], dtype=bool)
        for r0, c0, r1, c1 in drawing.opacity_boxes.astype(int):
            if r1 > 0:
                covered[r0 : r1 + 1, c0 : c1 + 1] = True
                assert region[r0, c0 : c1 + 1].any()
                assert region[r0 : r1 + 1, c1].any()
        assert not (region & ~covered).any()
        assert drawing.opacity_boxes.any() == region.any()


def test_share_of_images_with_opacities_follows_the_probability():
    share = np.mean([draw_annotated_thorax(i, 32, opacities=0.3).opacity_boxes.any() for i in range(150)])
    assert 0.18 < share < 0.42


def test_breast_shadows_are_told_where_they_are_drawn() -> None:
    drawings = [draw_annotated_thorax(i, 32) for i in range(120)]
    with_shadows = [drawing.breast_shadows for drawing in drawings]
    assert 0.3 < np.mean(with_shadows) < 0.6
    rows = slice(18, 22)  # at the height of the breasts, the lungs are brighter under them, measured against the apices
    lungs = [drawing.masks[1] | drawing.masks[2] for drawing in drawings]
    low = [d.image[0, rows][lung[rows]].mean() / d.image[0, :14][lung[:14]].mean() for d, lung in zip(drawings, lungs)]
    shown = np.array(low)[with_shadows]
    assert np.median(shown) > np.median(np.array(low)[~np.array(with_shadows)])
