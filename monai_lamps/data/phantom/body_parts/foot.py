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
"""The drawn foot, dorsoplantar: five rays, cuneiforms, cuboid and navicular, the hind foot in a dense overlap."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, Point, flesh, onward

__all__ = ["draw_foot"]

# great toe to little toe: base and head of the metatarsal, half-width, lengths of the phalanges, direction
_RAYS = (
    ((0.092, 0.560), (0.148, 0.335), 0.034, (0.125, 0.085), 0.02),
    ((0.040, 0.535), (0.075, 0.300), 0.020, (0.100, 0.040, 0.040), 0.02),
    ((0.000, 0.548), (0.010, 0.325), 0.019, (0.090, 0.034, 0.036), -0.02),
    ((-0.038, 0.565), (-0.048, 0.360), 0.019, (0.080, 0.028, 0.034), -0.06),
    ((-0.080, 0.590), (-0.104, 0.405), 0.020, (0.070, 0.022, 0.032), -0.10),
)


def draw_foot(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of a foot with the great toe at ``+x``: a left one, seen from above.

    Args:
        plane: pixel coordinates.
        rng: source of build, spread of the toes, hallux valgus and texture.

    Returns:
        (size, size) float32, 0 in air.
    """
    bones = Bones(plane, density=float(rng.uniform(13, 17)), spongy=0.5)
    stout = float(rng.normal(1.0, 0.06))
    valgus = abs(float(rng.normal(0.0, 0.06)))
    limbs: list[tuple[list[Point], list[float]]] = []
    for number, (base, head, half, lengths, direction) in enumerate(_RAYS):
        half *= stout
        head = (head[0] + float(rng.normal(0, 0.004)) + (0.1 * valgus if number == 0 else 0.0), head[1])
        direction += float(rng.normal(0.0, 0.03)) - (valgus * 2.0 if number == 0 else 0.0)
        bones.shaft(base, head, (half * 1.15, half), half * 0.58, 0.45)
        start = onward(head, direction, 0.006)
        scale = float(rng.normal(1.0, 0.05))
        for width, length in zip((0.95, 0.85, 0.7), lengths):
            end = onward(start, direction, length * scale)
            bones.shaft(start, end, (half * width, half * width * 0.8), half * width * 0.58, 0.4)
            start = onward(end, direction, 0.005)
        soft = 0.062 if number == 0 else 0.040
        limbs.append(([base, head, start], [0.07, soft * stout, soft * 0.72 * stout]))
    _tarsus(bones, stout)
    limbs.append(([(0.0, 0.62), (0.0, 0.80), (-0.01, 0.93)], [0.135, 0.12 * stout, 0.095 * stout]))
    tissue = flesh(plane, limbs, depth=0.07) * np.float32(rng.uniform(0.26, 0.38))
    ankle = np.clip((plane.y - np.float32(0.66)) * np.float32(5.0), 0.0, 1.0)  # the thick leg lies over the hind foot
    tissue *= (1 + ankle * np.float32(0.7)) * (1 + plane.noise(rng, 12) * np.float32(0.05))
    result: np.ndarray = tissue + bones.textured(rng)
    return result


def _tarsus(bones: Bones, stout: float) -> None:
    for centre, radii, turn in (
        ((0.092, 0.598), (0.034, 0.032), 0.1),  # medial, intermediate and lateral cuneiform
        ((0.046, 0.578), (0.022, 0.026), 0.0),
        ((0.008, 0.592), (0.021, 0.032), 0.0),
        ((-0.052, 0.645), (0.042, 0.050), 0.2),  # cuboid
        ((0.058, 0.662), (0.066, 0.026), -0.15),  # navicular
    ):
        bones.lump(centre, (1.12 * radii[0] * stout, 1.12 * radii[1] * stout), turn, share=0.8)
    talus = (
        (0.035, 0.700),
        (0.085, 0.690),
        (0.112, 0.715),
        (0.095, 0.760),
        (0.085, 0.830),
        (0.020, 0.840),
        (0.015, 0.760),
    )
    heel = (
        (-0.070, 0.705),
        (-0.020, 0.700),
        (0.005, 0.760),
        (0.035, 0.880),
        (0.010, 0.960),
        (-0.055, 0.955),
        (-0.075, 0.860),
    )
    bones.plate(talus, 0.045, share=0.7)
    bones.plate(heel, 0.05, share=0.7)
