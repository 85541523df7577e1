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
"""The drawn pelvis, anteroposterior: sacrum, hip bones with the obturator foramina, and both femora."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, flesh
from monai_lamps.data.phantom.body_parts.spine import bowel_gas, vertebra

__all__ = ["draw_pelvis"]

_WING = (
    (0.095, 0.265), (0.135, 0.195), (0.22, 0.145), (0.31, 0.155), (0.375, 0.22), (0.395, 0.30), (0.365, 0.37),
    (0.345, 0.43), (0.355, 0.49), (0.325, 0.515), (0.275, 0.525), (0.235, 0.58), (0.205, 0.60), (0.185, 0.53),
    (0.155, 0.455), (0.105, 0.39), (0.09, 0.33),
)  # fmt: skip
_SACRUM = (
    (0.0, 0.262), (0.075, 0.24), (0.125, 0.275), (0.115, 0.36), (0.075, 0.45), (0.03, 0.535), (0.0, 0.55),
    (-0.03, 0.535), (-0.075, 0.45), (-0.115, 0.36), (-0.125, 0.275), (-0.075, 0.24),
)  # fmt: skip


def draw_pelvis(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of a pelvis; the patient's right is on the left of the image.

    Args:
        plane: pixel coordinates.
        rng: source of build, rotation of the hips, gas and texture.

    Returns:
        (size, size) float32, 0 in air.
    """
    bones = Bones(plane, density=float(rng.uniform(4.2, 5.4)), spongy=0.5)
    wide, drop = float(rng.normal(1.0, 0.04)), float(rng.normal(0.0, 0.012))
    for level in range(3):
        vertebra(bones, (0.0, 0.19 - 0.105 * level), 0.0, 0.085, 0.042, 0.06)
    bones.plate(_SACRUM, 0.06, 0.006, share=0.7)
    for height in (0.33, 0.39, 0.44):
        for sign in (-1.0, 1.0):
            bones.lump((sign * (0.055 - 0.25 * (height - 0.33)), height), (0.012, 0.009), 0.0, 0.9)
    for sign in (-1.0, 1.0):
        _hip_bone(bones, sign * wide, drop)
        _femur(bones, sign * wide, drop, float(rng.normal(0.0, 0.015)))
    thigh = [([(sign * 0.36, 0.45), (sign * 0.36, 0.80), (sign * 0.33, 1.3)], [0.2, 0.2, 0.17]) for sign in (-1.0, 1.0)]
    trunk = ([(0.0, -0.4), (0.0, 0.55)], [float(rng.uniform(0.44, 0.6)), float(rng.uniform(0.5, 0.62))])
    tissue = flesh(plane, [trunk, *thigh], depth=0.28) * np.float32(rng.uniform(0.42, 0.52))
    tissue -= bowel_gas(plane, rng, (0.0, 0.33), (0.14, 0.12), int(rng.integers(3, 10))) * (tissue > 0.2)
    tissue *= 1 + plane.noise(rng, 8) * np.float32(0.05)
    result: np.ndarray = tissue + bones.textured(rng, 0.07)
    return result


def _hip_bone(bones: Bones, side: float, drop: float) -> None:
    bones.plate([(side * x, y) for x, y in _WING], 0.035, 0.010)
    ring = (
        (0.245, 0.580), (0.150, 0.612), (0.080, 0.640), (0.036, 0.668 + drop), (0.036, 0.715 + drop), (0.085, 0.775),
        (0.145, 0.822), (0.198, 0.800), (0.225, 0.720), (0.240, 0.640), (0.245, 0.580),
    )  # fmt: skip
    halves = [0.036, 0.023, 0.021, 0.027, 0.027, 0.019, 0.026, 0.041, 0.031, 0.033, 0.036]
    bones.stroke([(side * x, y) for x, y in ring], halves, 0.008)
    rim = [(side * (0.30 + 0.078 * np.sin(a)), 0.578 - 0.078 * np.cos(a)) for a in np.linspace(-2.2, 0.9, 8)]
    bones.stroke([(float(x), float(y)) for x, y in rim], [0.007] * 8, 0.006)


def _femur(bones: Bones, side: float, drop: float, turn: float) -> None:
    line = (
        (0.300, 0.578), (0.301, 0.579), (0.345, 0.618), (0.395 + turn, 0.672), (0.432 + turn, 0.632),
        (0.395 + turn, 0.672), (0.420 + turn, 0.720), (0.408 + turn, 0.800), (0.400 + turn, 0.900), (0.385, 1.4),
    )  # fmt: skip
    halves = [0.068, 0.068, 0.043, 0.054, 0.032, 0.054, 0.052, 0.048, 0.045, 0.044]
    bones.stroke([(side * x, y) for x, y in line], halves, 0.013)
    bones.lump((side * (0.362 + turn), 0.762 + drop), (0.020, 0.028), 0.0, 0.3, 0.6)
