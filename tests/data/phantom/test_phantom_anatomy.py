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
    STRUCTURES,
    draw_annotated_thorax,
    draw_thorax,
)


def test_masks_lie_in_the_body_and_none_is_empty(drawings, mask):
    for drawing in drawings:
        assert drawing.masks.shape == (len(STRUCTURES), 128, 128)
        assert drawing.masks.dtype == bool
        assert drawing.masks.any((1, 2)).all()
        assert not (drawing.masks & ~mask(drawing, "body")).any()


def test_lungs_take_the_share_of_the_image_that_they_take_in_radiographs(drawings, mask):
    right = np.mean([mask(d, "right_lung").mean() for d in drawings])
    left = np.mean([mask(d, "left_lung").mean() for d in drawings])
    heart = np.mean([mask(d, "heart").mean() for d in drawings])
    assert 0.11 < left < right < 0.23  # JSRT (SCR masks): 0.135, 0.170 and 0.089
    assert 0.06 < heart < 0.12


def test_lung_is_darker_than_heart_and_spine(drawings, mask):
    for drawing in drawings:
        image, lungs = drawing.image[0], mask(drawing, "right_lung") | mask(drawing, "left_lung")
        assert image[lungs].mean() < image[mask(drawing, "heart") & ~lungs].mean() - 0.08
        assert image[mask(drawing, "spine")].mean() > image[lungs].mean()


def test_air_outside_the_body_is_dark(drawings, mask):
    outside = [d.image[0][~mask(d, "body")] for d in drawings if (~mask(d, "body")).mean() > 0.05]
    assert len(outside) > 5
    assert all(part.mean() < 0.35 for part in outside)


def test_left_and_right_are_the_patients(drawings, mask, centre):
    for drawing in drawings:
        assert centre(mask(drawing, "right_lung"))[1] < centre(mask(drawing, "spine"))[1]
        assert centre(mask(drawing, "spine"))[1] < centre(mask(drawing, "left_lung"))[1]
        assert centre(mask(drawing, "heart"))[1] > centre(mask(drawing, "spine"))[1]
        assert centre(mask(drawing, "right_clavicle"))[1] < centre(mask(drawing, "left_clavicle"))[1]
        assert drawing.landmarks["heart"][0, 1] == pytest.approx(drawing.landmarks["heart"][:, 1].max(), abs=8)


def test_structures_are_stacked_as_in_a_patient(drawings, mask, centre):
    for drawing in drawings:
        rows = {name: centre(mask(drawing, name))[0] for name in STRUCTURES}
        assert rows["trachea"] < rows["heart"]
        assert max(rows["left_clavicle"], rows["right_clavicle"]) < min(rows["left_lung"], rows["right_lung"])
        assert rows["right_lung"] < rows["heart"]
        assert not (mask(drawing, "right_lung") & mask(drawing, "left_lung")).any()


def test_left_and_right_lung_look_different():
    sums = np.mean([draw_thorax(i, 64)[0] for i in range(24)], axis=0)
    assert np.abs(sums - sums[:, ::-1])[24:52].max() > 0.15


def test_ribs_and_vessels_leave_texture_in_every_lung(mask):
    for index in range(6):
        drawing = draw_annotated_thorax(index, 192)
        image = drawing.image[0]
        for side in ("left_lung", "right_lung"):
            rows, columns = np.nonzero(distance_transform_edt(mask(drawing, side)) > 12)
            spread = [image[r - 6 : r + 7, c - 6 : c + 7].std() for r, c in zip(rows[::97], columns[::97])]
            assert np.median(spread) > 0.012


def test_trachea_is_a_dark_column_before_the_spine(drawings, mask):
    darker = 0
    for drawing in drawings:
        image, airway = drawing.image[0], mask(drawing, "trachea")
        beside = mask(drawing, "spine") & ~airway & (distance_transform_edt(~airway) < 3)
        rows = np.nonzero(airway)[0]
        beside[rows.max() + 1 :] = False
        darker += image[airway].mean() < image[beside].mean()
    assert darker >= 0.9 * len(drawings)
