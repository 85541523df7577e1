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

"""Lung opacities: soft, irregular densities as of consolidation or a large nodule."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from monai_lamps.data.phantom.canvas import Canvas, smooth_noise

__all__ = ["MAX_OPACITIES", "draw_opacities"]

MAX_OPACITIES = 3


def draw_opacities(
    canvas: Canvas, anatomy: Anatomy, lung: np.ndarray, probability: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw, with the given probability, one to three opacities inside the lungs.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
        lung: (size, size) bool, where lung is seen (and exposed).
        probability: chance in [0, 1] that the image has any opacity.
        rng: source of number, place, size and density.

    Returns:
        ``attenuation`` (size, size) float32; ``mask`` (size, size) bool; ``boxes`` (3, 4) float32 with the lowest row,
        lowest column, highest row, highest column in pixels (inclusive), rows of zeros for absent ones.
    """
    total, mask = np.zeros_like(canvas.x), np.zeros(canvas.x.shape, dtype=bool)
    boxes = np.zeros((MAX_OPACITIES, 4), dtype=np.float32)
    chance, count = rng.random(), int(rng.integers(1, MAX_OPACITIES + 1))
    if chance >= probability:
        return total, mask, boxes
    found = 0
    for _ in range(count):
        side = int(rng.integers(RIGHT, LEFT + 1))
        y = rng.uniform(0.2, anatomy.dome[side] - 0.06)
        medial = float(anatomy.lookup(anatomy.medial_table[side], y))
        lateral = float(anatomy.lookup(anatomy.cage_table, y))
        x = (medial + (lateral - medial) * rng.uniform(0.2, 0.8)) * (1 if side == LEFT else -1)
        wide, tall = rng.uniform(0.022, 0.075), rng.uniform(0.022, 0.075)
        density, turn = rng.uniform(0.12, 0.34), rng.uniform(-0.6, 0.6)
        ragged = smooth_noise(rng, 24, canvas.size) * np.float32(rng.uniform(0.2, 0.6))
        dx, dy = canvas.x - np.float32(x), canvas.y - np.float32(y)
        along = (dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))) / np.float32(wide)
        across = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / np.float32(tall)
        radius = along * along + across * across
        core = np.exp(radius * np.clip(1 + ragged, 0.3, 2.0) * np.float32(-1.2))
        core *= np.clip(1 + ragged * np.float32(0.6), 0.3, 1.7)
        seen = (core > np.float32(0.3)) & lung & (radius < 4.0)
        total += core * np.float32(density) * lung
        if seen.any():
            rows, columns = np.nonzero(seen)
            boxes[found] = rows.min(), columns.min(), rows.max(), columns.max()
            mask |= seen
            found += 1
    return total, mask, boxes
