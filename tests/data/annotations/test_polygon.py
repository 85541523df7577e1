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
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import grid_points_in_poly

from monai_lamps.data.annotations import AnnotationError, fill_polygons

SQUARE = [[2, 1], [5, 1], [5, 4], [2, 4]]


def area(mask: npt.NDArray[np.bool_]) -> int:
    return int(mask.sum())


def test_x_runs_to_the_right_and_y_downwards_from_the_corner_of_the_first_pixel() -> None:
    mask = fill_polygons([SQUARE], (6, 8), "heart")
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:4, 2:5] = True
    assert np.array_equal(mask, expected)


def test_a_pixel_is_inside_when_its_centre_is() -> None:
    almost = [[2.49, 1.49], [4.51, 1.49], [4.51, 3.51], [2.49, 3.51]]
    assert np.array_equal(fill_polygons([almost], (6, 8), ""), fill_polygons([SQUARE], (6, 8), ""))
    short = [[2.51, 1.51], [4.49, 1.51], [4.49, 3.49], [2.51, 3.49]]
    assert area(fill_polygons([short], (6, 8), "")) == 1


def test_polygons_that_share_an_edge_neither_overlap_nor_leave_a_gap() -> None:
    left, right = [[0, 0], [7, 0], [3, 9], [0, 9]], [[7, 0], [9, 0], [9, 9], [3, 9]]
    first, second = fill_polygons([left], (9, 9), ""), fill_polygons([right], (9, 9), "")
    assert (first ^ second).all()
    assert not (first & second).any()


def test_several_polygons_are_united_and_none_is_empty() -> None:
    other = [[0, 4], [2, 4], [2, 6], [0, 6]]
    mask = fill_polygons([SQUARE, other, SQUARE], (6, 8), "")
    assert area(mask) == 9 + 4
    assert area(fill_polygons([], (6, 8), "")) == 0


def test_the_direction_and_the_start_of_a_polygon_do_not_matter() -> None:
    assert np.array_equal(fill_polygons([SQUARE[::-1]], (6, 8), ""), fill_polygons([SQUARE], (6, 8), ""))
    assert np.array_equal(fill_polygons([SQUARE[2:] + SQUARE[:2]], (6, 8), ""), fill_polygons([SQUARE], (6, 8), ""))
    assert np.array_equal(fill_polygons([[*SQUARE, SQUARE[0]]], (6, 8), ""), fill_polygons([SQUARE], (6, 8), ""))


def test_a_vertex_just_beyond_the_border_is_cut_there() -> None:
    assert fill_polygons([[[-1, -1], [101, -1], [101, 51], [-1, 51]]], (50, 100), "").all()


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 90)), min_size=3, max_size=12))
def test_the_mask_is_that_of_scikit_image(corners: list[tuple[int, int]]) -> None:
    # a third of a pixel keeps centres off all edges, where the two differ in whom an edge belongs to
    vertices = [[x / 4 + 1 / 3, y / 4 + 1 / 7] for x, y in corners]
    distances = _distance_to_edges(np.asarray(vertices))
    mask = fill_polygons([vertices], (24, 32), "")
    expected = grid_points_in_poly((24, 32), np.asarray(vertices)[:, ::-1] - 0.5)
    assert np.array_equal(mask[distances > 1e-6], expected[distances > 1e-6])


def _distance_to_edges(vertices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[0:24, 0:32] + 0.5
    centres = np.stack([columns, rows], axis=-1)[..., None, :]
    edges = np.roll(vertices, -1, axis=0) - vertices
    squares = np.maximum((edges**2).sum(-1), 1e-12)
    along = np.clip(((centres - vertices) * edges).sum(-1) / squares, 0, 1)
    nearest = vertices + along[..., None] * edges
    return np.asarray(np.sqrt(((centres - nearest) ** 2).sum(-1)).min(-1))


@pytest.mark.parametrize("vertex", [(-2, 10), (102, 10), (10, -2), (10, 52)])
def test_a_vertex_outside_the_image_is_refused(vertex: tuple[float, float]) -> None:
    with pytest.raises(
        AnnotationError,
        match=rf"polygon 1 of 'rib 1': its vertex \({vertex[0]}, {vertex[1]}\) lies outside the image of 100 x 50",
    ):
        fill_polygons([SQUARE, [[0, 0], [9, 9], list(vertex)]], (50, 100), "'rib 1'")


@pytest.mark.parametrize(
    "polygon", [[[1, 2], [3, 4]], [], [[1, 2, 3]] * 3, [[0, 0], [1, float("nan")], [2, 2]], [1, 2]]
)
def test_what_is_no_polygon_is_refused(polygon: list) -> None:
    with pytest.raises(AnnotationError, match=r"polygon 0 of 'rib 1': expected at least three vertices"):
        fill_polygons([polygon], (50, 100), "'rib 1'")


@pytest.mark.parametrize("polygon", [[[1, 2], [3]], [["a", 2], [3, 4], [5, 6]], {"x": 1}])
def test_vertices_that_are_no_numbers_are_refused(polygon: list) -> None:
    with pytest.raises(AnnotationError, match=r"polygon 0 of 'rib 1': vertices must be pairs of numbers"):
        fill_polygons([polygon], (50, 100), "'rib 1'")
