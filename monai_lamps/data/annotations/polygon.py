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
"""Masks from polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monai_lamps.data.annotations.error import AnnotationError

__all__ = ["fill_polygons"]

#: How far a vertex may lie outside the image, as a share of its longer side: a click beyond the border.
TOLERANCE = 0.01


def fill_polygons(
    polygons: Sequence[Sequence[Sequence[float]]], size: tuple[int, int], name: str
) -> npt.NDArray[np.bool_]:
    """The pixels whose centres lie within any of some polygons.

    (0, 0) is the top left corner of the top left pixel, so the centre of the pixel in row r and column c lies at
    (c + 0.5, r + 0.5). A polygon is closed from its last vertex to its first; where it crosses itself, the even-odd
    rule holds. A centre on an edge belongs to the polygon on its right or below it, so polygons that share an edge
    neither overlap nor leave a gap. Vertices up to 1 % of the image's longer side beyond its border are what annotators
    click, and the polygon is cut at the border; one further out is an error, because it tells of a polygon that was
    drawn on another size of the image. (scikit-image tests each pixel against each edge, seconds for the ribs of one
    image; Pillow also paints pixels whose centres lie outside.)

    Args:
        polygons: each a sequence of at least three vertices (x, y) in pixels: x to the right, y downwards.
        size: (height, width) of the image.
        name: what an error calls them: the structure and the image.

    Returns:
        (H, W) bool; all False when there is no polygon.

    Raises:
        AnnotationError: for fewer than three vertices, a vertex that is no pair of finite numbers, or one outside the
            image.
    """
    mask = np.zeros(size, dtype=bool)
    for number, polygon in enumerate(polygons):
        _fill(mask, _vertices(polygon, size, f"polygon {number} of {name}"))
    return mask


def _vertices(polygon: Sequence[Sequence[float]], size: tuple[int, int], name: str) -> npt.NDArray[np.float64]:
    try:
        vertices = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{name}: vertices must be pairs of numbers [x, y] ({error}).") from error
    if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3 or not np.isfinite(vertices).all():
        raise AnnotationError(
            f"{name}: expected at least three vertices [x, y] of finite numbers, got an array of shape "
            f"{vertices.shape}; mend or remove it."
        )
    height, width = size
    margin = TOLERANCE * max(size)
    outside = ((vertices < -margin) | (vertices > np.array([width, height]) + margin)).any(axis=1)
    if outside.any():
        x, y = vertices[outside][0]
        raise AnnotationError(
            f"{name}: its vertex ({x:g}, {y:g}) lies outside the image of {width} x {height} pixels (width x height); "
            "polygons are in pixels of the image file: was it drawn on another size of the image?"
        )
    return vertices


def _fill(mask: npt.NDArray[np.bool_], vertices: npt.NDArray[np.float64]) -> None:
    """Even-odd rule, in place: mark where each row's line of centres crosses an edge, count the marks from the left."""
    limits = np.array(mask.shape[::-1])
    left, top = np.clip(np.ceil(vertices.min(axis=0) - 0.5), 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(vertices.max(axis=0) - 0.5), 0, limits).astype(int)
    marks = np.zeros((bottom - top, right - left + 1), dtype=np.uint8)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0)):
        if y0 == y1:
            continue
        low, high = sorted((y0, y1))
        rows = np.arange(max(top, int(np.ceil(low - 0.5))), min(bottom, int(np.ceil(high - 0.5))))
        crossings = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(crossings - 0.5), left, right).astype(np.intp)
        marks[rows - top, columns - left] ^= 1
    mask[top:bottom, left:right] |= np.bitwise_xor.accumulate(marks, axis=1)[:, :-1].astype(bool)
