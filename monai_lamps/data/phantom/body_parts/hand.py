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
"""The drawn hand, dorsopalmar: five rays of long bones on eight carpal bones, radius and ulna."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, Point, flesh, onward

__all__ = ["draw_hand"]

# index, middle, ring, little: base of the metacarpal, its head, length of the finger, direction (0 up, positive to +x)
_FINGERS = (
    ((0.072, 0.688), (0.107, 0.505), 0.335, 0.13),
    ((0.026, 0.682), (0.030, 0.485), 0.375, 0.00),
    ((-0.018, 0.694), (-0.043, 0.510), 0.345, -0.12),
    ((-0.056, 0.708), (-0.104, 0.548), 0.265, -0.26),
)
_PHALANGES = (0.50, 0.29, 0.21)  # shares of a finger
# scaphoid, lunate, triquetrum, pisiform, trapezium, trapezoid, capitate, hamate: middle, half-axes, turn
_CARPALS = (
    ((0.058, 0.775), (0.030, 0.020), -0.6), ((0.012, 0.800), (0.024, 0.020), 0.1),
    ((-0.033, 0.787), (0.019, 0.022), 0.4), ((-0.045, 0.772), (0.013, 0.014), 0.0),
    ((0.098, 0.733), (0.023, 0.021), -0.5), ((0.066, 0.725), (0.017, 0.021), 0.2),
    ((0.024, 0.738), (0.021, 0.034), 0.1), ((-0.026, 0.738), (0.026, 0.028), -0.3),
)  # fmt: skip


def _ray(bones: Bones, start: Point, direction: float, lengths: list[float], widths: list[float], gap: float) -> Point:
    """Add the phalanges of a finger from its knuckle; give the tip's end."""
    for number, (length, half) in enumerate(zip(lengths, widths)):
        end = onward(start, direction, length)
        tip = half * 0.62 if number == len(lengths) - 1 else half * 0.82
        bones.shaft(start, end, (half, tip), half * 0.56, 0.42, gap)
        start = onward(end, direction, 0.006)
    return start


def draw_hand(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of a hand with the thumb at ``+x``: a left one, seen from its back.

    Args:
        plane: pixel coordinates.
        rng: source of build, spread of the fingers, age and texture.

    Returns:
        (size, size) float32, 0 in air.
    """
    bones = Bones(plane, density=float(rng.uniform(17, 23)), spongy=0.45)
    gap = float(rng.uniform(0.4, 0.8)) if rng.random() < 0.4 else 0.0  # growth plates of a child
    stout, spread = float(rng.normal(1.0, 0.07)), float(rng.uniform(0.4, 1.5))
    limbs: list[tuple[list[Point], list[float]]] = []
    for base, head, length, direction in _FINGERS:
        length *= float(rng.normal(1.0, 0.03))
        direction = direction * spread + float(rng.normal(0.0, 0.02))
        half = 0.0215 * stout * (0.86 if length < 0.3 else 1.0)
        bones.shaft(base, head, (half * 1.0, half * 1.05), half * 0.56, 0.45)
        knuckle = onward(head, direction, 0.007)
        tip = _ray(
            bones,
            knuckle,
            direction,
            [share * length for share in _PHALANGES],
            [half * f for f in (1, 0.86, 0.72)],
            gap,
        )
        middle = onward(knuckle, direction, 0.5 * length)
        limbs.append(([base, head, middle, tip], [0.052 * stout, 0.043 * stout, 0.036 * stout, 0.027 * stout]))
    limbs.append(_thumb(bones, rng, stout, gap))
    close = stout * (0.92 if gap else 1.14)  # carpal bones of a child are wider apart
    for centre, radii, turn in _CARPALS:
        bones.lump(
            (centre[0] + float(rng.normal(0, 0.002)), centre[1]), (radii[0] * close, radii[1] * close), turn, share=0.85
        )
    bones.shaft((0.048, 0.832), (0.050, 1.5), (0.053 * stout, 0.03), 0.027 * stout, 0.35, 0.5 * gap, 0.65)
    bones.shaft((-0.048, 0.840), (-0.050, 1.5), (0.027 * stout, 0.02), 0.019 * stout, 0.4, 0.5 * gap, 0.8)
    limbs.append(([(0.0, 0.70), (0.005, 0.80), (0.0, 0.90), (0.0, 1.3)], [0.105, 0.095 * stout, 0.09 * stout, 0.115]))
    limbs.append(([(0.06, 0.60), (-0.04, 0.62)], [0.06, 0.06]))
    soft = flesh(plane, limbs, depth=0.05)
    tissue = soft * np.float32(rng.uniform(0.26, 0.38)) * (1 + plane.noise(rng, 12) * np.float32(0.05))
    result: np.ndarray = tissue + bones.textured(rng)
    return result


def _thumb(bones: Bones, rng: np.random.Generator, stout: float, gap: float) -> tuple[list[Point], list[float]]:
    base: Point = (0.118, 0.705)
    direction = float(rng.uniform(0.55, 0.95))
    half = 0.023 * stout
    head = onward(base, direction, 0.15)
    bones.shaft(base, head, (half, half), half * 0.6, 0.4, gap)
    direction *= float(rng.uniform(0.6, 0.95))
    tip = _ray(bones, onward(head, direction, 0.006), direction, [0.105, 0.08], [half * 0.95, half * 0.8], gap)
    return [(0.06, 0.74), base, head, tip], [0.06, 0.05 * stout, 0.045 * stout, 0.032 * stout]
