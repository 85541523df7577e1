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

"""Vessels of the lung: trees that branch from the hila, splatted onto the pixels and blurred to their width."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from monai_lamps.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from monai_lamps.data.phantom.canvas import Canvas

__all__ = ["vessels"]

_BLUR = 2.6  # standard deviations at which a blur kernel ends


def _grow(
    start: np.ndarray, angle: np.ndarray, length: np.ndarray, steps: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Curved segments: (n, steps, 2) points and (n, steps) running angles; one random bend a segment."""
    t = np.linspace(0.0, 1.0, steps)
    bend, sway = rng.normal(0.0, 0.22, len(start)), rng.normal(0.0, 0.2, len(start))
    heading = angle[:, None] + bend[:, None] * t + sway[:, None] * np.sin(2 * np.pi * t)
    step = np.stack([np.cos(heading), np.sin(heading)], -1) * (length / steps)[:, None, None]
    return start[:, None] + np.cumsum(step, 1), heading


def _tree(
    anatomy: Anatomy, side: int, steps: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One lung's tree: (m, 2) points, (m,) radii and (m,) lengths of the pieces, in canonical units."""
    sign = 1.0 if side == LEFT else -1.0
    n = int(rng.integers(11, 15))
    spread = np.linspace(-1.45, 1.35, n) + rng.normal(0.0, 0.08, n)  # from straight up to straight down
    start = np.stack([0.062 + rng.uniform(0, 0.02, n), anatomy.hilum[side] + 0.035 * spread], 1)
    length = rng.uniform(0.10, 0.15, n) * np.where(spread > 0.3, 1.15, 0.95)
    radius = rng.uniform(0.0052, 0.0088, n) * np.where(spread > 0.3, 1.15, 0.85)
    angle = spread
    points, radii, pieces = [], [], []
    taper = np.linspace(1.0, 0.72, steps)
    for generation in range(4):
        path, heading = _grow(start, angle, length, steps, rng)
        points.append(path.reshape(-1, 2))
        radii.append((radius[:, None] * taper).ravel())
        pieces.append(np.repeat(length / steps, steps))
        if generation == 3:
            break
        along = np.concatenate([np.ones(len(path)), rng.uniform(0.33, 0.97, len(path))])
        at = np.rint(along * (steps - 1)).astype(int)
        parent = np.tile(np.arange(len(path)), 2)
        turn = rng.uniform(0.15, 0.75, len(parent)) * np.where(rng.random(len(parent)) < 0.5, -1.0, 1.0)
        start, angle = path[parent, at], heading[parent, at] + turn
        length = length[parent] * rng.uniform(0.55, 0.85, len(parent))
        radius = radius[parent] * rng.uniform(0.55, 0.78, len(parent))
    stacked = np.concatenate(points)
    stacked[:, 0] *= sign
    return stacked, np.concatenate(radii), np.concatenate(pieces)


def _splat(row: np.ndarray, column: np.ndarray, mass: np.ndarray, size: int) -> np.ndarray:
    """Add masses to the four nearest pixels each (bilinear weights); (size, size) float32."""
    r0, c0 = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    fr, fc = row - r0, column - c0
    inside = (r0 >= 0) & (r0 < size - 1) & (c0 >= 0) & (c0 < size - 1)
    r0, c0, fr, fc, mass = r0[inside], c0[inside], fr[inside], fc[inside], mass[inside]
    base = r0 * size + c0
    index = np.concatenate([base, base + 1, base + size, base + size + 1])
    weight = np.concatenate([(1 - fr) * (1 - fc), (1 - fr) * fc, fr * (1 - fc), fr * fc])
    flat = np.bincount(index, weight * np.tile(mass, 4), minlength=size * size)
    return flat.reshape(size, size).astype(np.float32)


def vessels(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of pulmonary vessels and hila, not yet limited to the lungs.

    A vessel of radius r has the blood of a cylinder: its mass a piece of length is ``pi r**2`` times the piece, so the
    picture is the same for every image size.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
        rng: source of the branching.

    Returns:
        (size, size) float32, at least 0.
    """
    size = canvas.size
    steps = max(12, int(0.11 / canvas.pixel))
    trees = [_tree(anatomy, side, steps, rng) for side in (RIGHT, LEFT)]
    points, radius, piece = (np.concatenate(parts) for parts in zip(*trees))
    pixels = canvas.frame.to_image(points, size)
    mass = np.pi * radius**2 * piece / canvas.pixel**2 * 10.5
    total = np.zeros_like(canvas.x)
    for low, high, blur in ((0.0, 0.0028, 0.0016), (0.0028, 0.005, 0.0028), (0.005, 1.0, 0.0048)):
        chosen = (radius >= low) & (radius < high)
        layer = _splat(pixels[chosen, 0], pixels[chosen, 1], mass[chosen], size)
        sigma = max(blur / canvas.pixel, 0.45)
        total += gaussian_filter(layer, sigma, truncate=_BLUR, mode="constant")
    for side, sign in ((RIGHT, -1.0), (LEFT, 1.0)):
        for _ in range(3):
            cx, cy = sign * (0.075 + rng.normal(0, 0.012)), anatomy.hilum[side] + rng.normal(0.0, 0.028)
            width, tall = rng.uniform(0.012, 0.022), rng.uniform(0.018, 0.036)
            rows, columns = canvas.box((cx - 0.07, cx + 0.07), (cy - 0.11, cy + 0.11))
            x, y = canvas.x[rows, columns], canvas.y[rows, columns]
            blob = np.exp(-(((x - cx) / width) ** 2) - ((y - cy) / tall) ** 2)
            total[rows, columns] += np.float32(0.09) * blob.astype(np.float32)
    return total
