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

"""From attenuation to a picture: quantum noise, focus, film curve, collimation and side mark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from monai_lamps.data.phantom.canvas import smooth_noise

__all__ = ["Film"]

_LETTERS = {
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
}


@dataclass(frozen=True)
class Film:
    """How the radiograph is exposed and developed.

    Args:
        speed: attenuation that becomes middle grey; low values give the light film of a scanned radiograph.
        contrast: slope of the film curve per unit of attenuation.
        gamma: exponent of the final grey value.
        noise: standard deviation of the quantum noise behind no attenuation, in attenuation.
        veil: standard deviation of the smooth unevenness of the exposure.
        blur: standard deviation of the focus, in image sides.
        border: lower ends of the four collimation margins (top, bottom, left, right), in image sides; 0 for none.
        border_turn: rotation of the collimated field in radians.
        mark: ``"R"``, ``"L"`` or empty.
        mark_at: (row, column) of the mark's upper left corner in image sides.
    """

    speed: float
    contrast: float
    gamma: float
    noise: float
    veil: float
    blur: float
    border: tuple[float, float, float, float]
    border_turn: float
    mark: str
    mark_at: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Film:
        """Draw an exposure."""
        collimated = rng.random() < 0.35
        border = tuple(float(b) for b in np.maximum(rng.uniform(-0.02, 0.035, 4), 0.0) * collimated)
        side = "R" if rng.random() < 0.5 else "L"
        across = rng.uniform(0.03, 0.08) if side == "R" else rng.uniform(0.87, 0.92)
        return cls(
            speed=float(rng.uniform(0.38, 0.76)),
            contrast=float(rng.uniform(2.8, 4.4)),
            gamma=float(np.exp(rng.normal(0.0, 0.15))),
            noise=float(rng.uniform(0.004, 0.014)),
            veil=float(rng.uniform(0.005, 0.03)),
            blur=float(rng.uniform(0.0, 0.0028)),
            border=(border[0], border[1], border[2], border[3]),
            border_turn=float(rng.normal(0.0, 0.012)),
            mark=side if rng.random() < 0.45 else "",
            mark_at=(float(rng.uniform(0.05, 0.14)), float(across)),
        )

    def exposed(self, size: int) -> np.ndarray | None:
        """(size, size) float32 in [0, 1]: 1 inside the collimated field; None where nothing is collimated."""
        if not any(self.border):
            return None
        t = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size
        turn = np.float32(self.border_turn)
        u, v = t[None] - turn * (t[:, None] - np.float32(0.5)), t[:, None] + turn * (t[None] - np.float32(0.5))
        top, bottom, left, right = (np.float32(b) if b else np.float32(-1.0) for b in self.border)
        near = np.minimum(np.minimum(v - top, 1 - bottom - v), np.minimum(u - left, 1 - right - u))
        result: np.ndarray = np.clip(near * size + np.float32(0.5), 0.0, 1.0)
        return result

    def develop(self, attenuation: np.ndarray, shape: np.random.Generator, grain: np.random.Generator) -> np.ndarray:
        """Turn attenuation into grey values.

        Fewer photons pass where attenuation is high, so the noise of its logarithm grows with ``exp(attenuation / 2)``.

        Args:
            attenuation: (size, size) float32.
            shape: source of the smooth unevenness (the same for every image size).
            grain: source of the noise of single pixels.

        Returns:
            (size, size) float32 in [0, 1], 0 dark (air), 1 bright.
        """
        size = attenuation.shape[0]
        image = attenuation
        if self.blur * size > 0.3:
            image = gaussian_filter(image, self.blur * size, truncate=2.5)
        fine = grain.standard_normal((size, size), dtype=np.float32)
        image = image + fine * (np.float32(self.noise) * np.exp(image))
        image += smooth_noise(shape, 3, size) * np.float32(self.veil)
        image = 1 / (1 + np.exp((np.float32(self.speed) - image) * np.float32(self.contrast)))
        image **= np.float32(self.gamma)
        field = self.exposed(size)
        if field is not None:
            image *= field
        self._stamp(image)
        result: np.ndarray = np.clip(image, 0.0, 1.0, out=image)
        return result

    def _stamp(self, image: np.ndarray) -> None:
        """Draw the lead letter, in place."""
        if not self.mark:
            return
        size = image.shape[0]
        glyph = np.array([[c == "1" for c in row] for row in _LETTERS[self.mark]], dtype=np.float32)
        tall, wide = max(7, round(0.05 * size)), max(5, round(0.036 * size))
        rows = np.arange(tall) * glyph.shape[0] // tall
        columns = np.arange(wide) * glyph.shape[1] // wide
        r, c = round(self.mark_at[0] * size), round(self.mark_at[1] * size)
        part = image[r : r + tall, c : c + wide]
        letter = glyph[rows][:, columns][: part.shape[0], : part.shape[1]]
        np.maximum(part, letter * np.float32(0.97), out=part)
