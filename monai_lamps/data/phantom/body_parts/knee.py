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
"""The drawn knee, anteroposterior: femur with its condyles, patella, tibia and fibula."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, flesh

__all__ = ["draw_knee"]


def draw_knee(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of a knee with the fibula at ``+x``: a left one, seen from the front.

    Args:
        plane: pixel coordinates.
        rng: source of build, width of the joint space, height of the patella and texture.

    Returns:
        (size, size) float32, 0 in air.
    """
    bones = Bones(plane, density=float(rng.uniform(4.6, 6.0)), spongy=0.55)
    wide, space = float(rng.normal(1.0, 0.04)), float(rng.uniform(0.012, 0.03))
    shaft = float(rng.uniform(0.080, 0.092))
    femur = (
        (-shaft, -0.3), (-shaft, 0.10), (-0.105 * wide, 0.22), (-0.175 * wide, 0.335), (-0.192 * wide, 0.41),
        (-0.165 * wide, 0.475), (-0.095 * wide, 0.495), (-0.040 * wide, 0.462), (0.0, 0.432), (0.040 * wide, 0.458),
        (0.095 * wide, 0.488), (0.155 * wide, 0.472), (0.182 * wide, 0.41), (0.170 * wide, 0.335), (0.105 * wide, 0.22),
        (shaft, 0.10), (shaft, -0.3),
    )  # fmt: skip
    top = 0.49 + space
    narrow = float(rng.uniform(0.062, 0.074))
    tibia = (
        (-0.195 * wide, top + 0.018), (-0.17 * wide, top + 0.004), (-0.08 * wide, top + 0.012), (-0.028, top - 0.012),
        (0.0, top + 0.003), (0.026, top - 0.014), (0.08 * wide, top + 0.010), (0.17 * wide, top + 0.002),
        (0.192 * wide, top + 0.02), (0.180 * wide, top + 0.08), (0.120 * wide, top + 0.17),
        (narrow + 0.012, top + 0.30), (narrow, 1.4), (-narrow, 1.4), (-narrow - 0.012, top + 0.30),
        (-0.125 * wide, top + 0.17), (-0.185 * wide, top + 0.08),
    )  # fmt: skip
    bones.plate(femur, 0.085, 0.020)
    bones.plate(tibia, 0.075, 0.018)
    height = float(rng.normal(0.365, 0.02))
    bones.lump((float(rng.normal(0.005, 0.01)), height), (0.080 * wide, 0.094), 0.1, 0.1, 0.55)
    bones.shaft((0.172 * wide, top + 0.062), (0.165, 1.5), (0.042, 0.03), 0.026, 0.4)
    girth = float(rng.uniform(0.25, 0.33))
    leg = (
        [(0.0, -0.2), (0.0, 0.35), (0.0, 0.60), (0.01, 1.2)],
        [girth + 0.03, girth - 0.01, girth - 0.03, girth - 0.02],
    )
    tissue = flesh(plane, [leg], depth=0.2) * np.float32(rng.uniform(0.30, 0.42))
    tissue *= 1 + plane.noise(rng, 8) * np.float32(0.05)
    result: np.ndarray = tissue + bones.textured(rng, 0.07)
    return result
