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
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monai_lamps.data.phantom.anatomy import Anatomy
from monai_lamps.data.phantom.canvas import Canvas, smooth_noise
from monai_lamps.data.phantom.film import Film
from monai_lamps.data.phantom.frame import Frame


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(32, 400))
def test_pose_maps_pixels_to_anatomy_and_back(seed, size):
    frame = Frame.draw(np.random.default_rng(seed))
    x, y = frame.grid(size)
    rows, columns = np.meshgrid(np.linspace(0, size - 1, 5).astype(int), np.linspace(0, size - 1, 5).astype(int))
    rows, columns = rows.ravel(), columns.ravel()
    back = frame.to_image(np.stack([x[rows, columns], y[rows, columns]], 1), size)
    np.testing.assert_allclose(back, np.stack([rows, columns], 1), atol=2e-3 * size)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
@example(seed=229728)  # the highest diaphragm seen, at 0.638
def test_every_patient_has_wide_lungs_above_the_diaphragm(seed):
    anatomy = Anatomy.draw(np.random.default_rng(seed))
    heights = (0.2, 0.4, 0.6)
    for side in (0, 1):
        for y in heights:
            width = anatomy.lookup(anatomy.cage_table, y) - anatomy.lookup(anatomy.medial_table[side], y)
            assert 0.08 < width < 0.4
        assert anatomy.lookup(anatomy.diaphragm_table[side], 0.2) > max(heights)


def test_smooth_noise_is_standard_and_the_same_at_every_size():
    small, large = (smooth_noise(np.random.default_rng(1), 20, n) for n in (64, 128))
    assert abs(float(large.std()) - 1.0) < 0.2
    assert np.corrcoef(small.ravel(), large.reshape(64, 2, 64, 2).mean((1, 3)).ravel())[0, 1] > 0.99


def test_box_holds_the_rectangle_it_was_asked_for():
    canvas = Canvas(Frame.draw(np.random.default_rng(5)), 128)
    rows, columns = canvas.box((-0.1, 0.15), (0.3, 0.5))
    inside = (canvas.x > -0.1) & (canvas.x < 0.15) & (canvas.y > 0.3) & (canvas.y < 0.5)
    inside[rows, columns] = False
    assert not inside.any()


def test_film_darkens_the_collimated_margin_and_stamps_the_mark():
    film = Film(0.5, 4.0, 1.0, 0.0, 0.0, 0.0, (0.1, 0.0, 0.0, 0.05), 0.0, "R", (0.3, 0.2))
    rng = np.random.default_rng(0)
    image = film.develop(np.full((100, 100), 0.5, dtype=np.float32), rng, rng)
    assert image[:10].max() < 1e-5
    assert image[:, 95:].max() < 1e-5
    assert image[60, 60] == pytest.approx(0.5)
    assert image[30:35, 20:24].max() == pytest.approx(0.97)
