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

"""The pose of a drawn thorax: the map between image pixels and the canonical anatomical frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Frame"]

Wave = tuple[tuple[float, float, float], ...]


def _wave(terms: Wave, t: np.ndarray) -> np.ndarray:
    """Sum of sines ``amplitude * sin(2 pi frequency t + phase)``; ``terms`` holds (amplitude, frequency, phase)."""
    total = np.zeros_like(t)
    for amplitude, frequency, phase in terms:
        total += amplitude * np.sin(2 * np.pi * frequency * t + phase)
    return total


@dataclass(frozen=True)
class Frame:
    """How the patient stands before the detector: shift, rotation, scale, breadth and a slight bending.

    The canonical frame measures in image sides: ``x`` is 0 at the midline and positive to the patient's left (right of
    the image), ``y`` runs downwards, the lung apices lie near 0.1 and the diaphragm near 0.75.

    Args:
        scale: size of the patient on the image; 1 shows lungs of about 0.75 image heights.
        breadth: extra factor of the horizontal scale (build).
        angle: rotation in the image plane in radians, positive turns the image clockwise.
        shift: (x, y) displacement in image sides.
        bend_x: sines of the row that push points sideways: (amplitude, frequency, phase) each.
        bend_y: sines of the column that push points up and down.
    """

    scale: float = 1.0
    breadth: float = 1.0
    angle: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    bend_x: Wave = ()
    bend_y: Wave = ()

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Frame:
        """Draw a pose."""

        def wave(amplitude: float) -> Wave:
            return tuple(
                (float(rng.normal(0.0, amplitude / f)), f * float(rng.uniform(0.7, 1.3)), float(rng.uniform(0, 6.28)))
                for f in (0.8, 2.0)
            )

        return cls(
            scale=float(rng.uniform(0.9, 1.13)),
            breadth=float(rng.uniform(0.92, 1.07)),
            angle=float(np.clip(rng.normal(0.0, 0.035), -0.1, 0.1)),
            shift=(float(rng.normal(0.0, 0.022)), float(rng.normal(0.005, 0.022))),
            bend_x=wave(0.007),
            bend_y=wave(0.004),
        )

    def grid(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Canonical coordinates of the pixel centres.

        Args:
            size: image side in pixels.

        Returns:
            ``x`` and ``y``, each (size, size) float32.
        """
        t = (np.arange(size, dtype=np.float64) + 0.5) / size
        du, dv = (t - 0.5 - self.shift[0])[None], (t - 0.5 - self.shift[1])[:, None]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        across, down = self.scale * self.breadth, self.scale
        x = (cos / across * du).astype(np.float32) + (sin / across * dv + _wave(self.bend_x, t)[:, None]).astype("f4")
        y = (-sin / down * du + _wave(self.bend_y, t)[None]).astype("f4") + (cos / down * dv + 0.5).astype(np.float32)
        return x, y

    def to_image(self, points: np.ndarray, size: int) -> np.ndarray:
        """Map canonical points to pixels, the inverse of :meth:`grid`.

        Args:
            points: (k, 2) float, ``(x, y)``.
            size: image side in pixels.

        Returns:
            (k, 2) float64 ``(row, column)`` in pixels; pixel centres have whole numbers. May lie outside the image.
        """
        x, y = np.asarray(points, dtype=np.float64).T
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = x + 0.5, y
        for _ in range(4):  # the bending is a weak contraction: each round gains a digit or more
            xr = (x - _wave(self.bend_x, v)) * self.scale * self.breadth
            yr = (y - 0.5 - _wave(self.bend_y, u)) * self.scale
            u = cos * xr - sin * yr + 0.5 + self.shift[0]
            v = sin * xr + cos * yr + 0.5 + self.shift[1]
        return np.stack([v * size - 0.5, u * size - 0.5], axis=1)
