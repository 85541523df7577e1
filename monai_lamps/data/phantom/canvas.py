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

"""The canvas: canonical coordinates of every pixel and the few field operations that all structures are drawn with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from monai_lamps.data.phantom.anatomy import TABLE_LENGTH, TABLE_START, TABLE_STEP
from monai_lamps.data.phantom.frame import Frame

__all__ = ["Canvas", "smooth_noise"]


@lru_cache(maxsize=64)
def _spline(cells: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniform cubic B-spline at the pixel centres: (size,) first control point, (4, size) float32 weights."""
    t = (np.arange(size) + 0.5) / size * cells
    base = np.floor(t).astype(np.int64)
    f = t - base
    parts = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)
    weights = (np.stack(parts) / 6).astype(np.float32)
    base.setflags(write=False)
    weights.setflags(write=False)
    return base, weights


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> np.ndarray:
    """Smooth random field, the same for every image size.

    Args:
        rng: source of the ``(cells + 3) ** 2`` normal numbers.
        cells: number of spline cells a side; larger is finer.
        size: image side in pixels.

    Returns:
        (size, size) float32 of mean about 0 and standard deviation about 1.
    """
    base, weights = _spline(cells, size)
    grid = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    # four taps an axis and no matrix product: the sum does not depend on how many threads BLAS has
    lines = sum(grid[:, base + k] * weights[k] for k in range(4))  # (cells + 3, size)
    field: np.ndarray = sum(lines[base + k] * weights[k][:, None] for k in range(4))
    field *= np.float32(2.0)  # a spline of white noise has about half its deviation
    return field


class Canvas:
    """Coordinates of the pixels in the canonical frame, and table look-ups on them.

    Args:
        frame: the pose.
        size: image side in pixels.

    Attributes:
        x, y: (size, size) float32 canonical coordinates.
        ax: ``|x|``.
        left: (size, size) bool, the patient's left half (right of the image).
        pixel: side of a pixel in canonical units.
    """

    def __init__(self, frame: Frame, size: int) -> None:
        self.frame = frame
        self.size = size
        self.x, self.y = frame.grid(size)
        self.ax = np.abs(self.x)
        self.left = self.x > 0
        self.pixel = 1.0 / (size * frame.scale)
        self._row = self._index(self.y)
        self._column = self._index(self.ax)
        self._side = self.left.astype(np.int32) * TABLE_LENGTH

    @staticmethod
    def _index(field: np.ndarray) -> np.ndarray:
        index = ((field - np.float32(TABLE_START)) * np.float32(1 / TABLE_STEP) + np.float32(0.5)).astype(np.int32)
        result: np.ndarray = np.clip(index, 0, TABLE_LENGTH - 1, out=index)
        return result

    def over_y(self, table: np.ndarray) -> np.ndarray:
        """Read a table over ``y``, (TABLE_LENGTH,) or one row a side (2, TABLE_LENGTH), at every pixel; float32."""
        index = self._row if table.ndim == 1 else self._row + self._side
        return np.take(table.astype(np.float32).ravel(), index)

    def over_x(self, table: np.ndarray) -> np.ndarray:
        """Read a table over ``|x|``, (TABLE_LENGTH,) or one row a side (2, TABLE_LENGTH), at every pixel; float32."""
        index = self._column if table.ndim == 1 else self._column + self._side
        return np.take(table.astype(np.float32).ravel(), index)

    def by_side(self, pair: tuple[float, float] | np.ndarray) -> np.ndarray:
        """(size, size) float32: the first number on the patient's right, the second on the left."""
        result: np.ndarray = np.where(self.left, np.float32(pair[1]), np.float32(pair[0]))
        return result

    def inside(self, field: np.ndarray, softness: float = 0.0) -> np.ndarray:
        """Soft indicator of ``field > 0`` with an edge of at least one pixel.

        Args:
            field: (size, size) signed distance-like values, positive inside.
            softness: width of the edge in canonical units.

        Returns:
            (size, size) float32 in [0, 1].
        """
        width = np.float32(max(softness, self.pixel))
        result: np.ndarray = np.clip(field * (1 / width) + np.float32(0.5), 0.0, 1.0)
        return result

    def box(self, x: tuple[float, float], y: tuple[float, float]) -> tuple[slice, slice]:
        """Slices of the smallest pixel box that holds a canonical rectangle (slightly more, for the bending).

        Args:
            x: lowest and highest canonical x.
            y: lowest and highest canonical y.
        """
        corners = np.array([(a, b) for a in (x[0], sum(x) / 2, x[1]) for b in (y[0], sum(y) / 2, y[1])])
        pixels = self.frame.to_image(corners, self.size)
        low = np.clip(np.floor(pixels.min(0)) - 2, 0, self.size).astype(int)
        high = np.clip(np.ceil(pixels.max(0)) + 3, 0, self.size).astype(int)
        return slice(low[0], max(high[0], low[0])), slice(low[1], max(high[1], low[1]))
