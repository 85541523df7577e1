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
"""The drawn jaws, panoramic: mandible with its joints, both rows of teeth, sinuses and nasal cavity."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, Point, chord

__all__ = ["draw_jaw"]

# from the midline: half-width of the crown, length of crown and root, number of roots
_TEETH = (
    (0.0165, 0.050, 0.075, 1), (0.0145, 0.046, 0.075, 1), (0.0165, 0.052, 0.095, 1), (0.0160, 0.046, 0.080, 1),
    (0.0165, 0.044, 0.080, 1), (0.0255, 0.044, 0.075, 2), (0.0250, 0.042, 0.070, 2), (0.0235, 0.040, 0.060, 2),
)  # fmt: skip
_MANDIBLE = (
    (0.0, 0.635), (0.10, 0.625), (0.20, 0.595), (0.27, 0.555), (0.31, 0.46), (0.315, 0.36), (0.335, 0.315),
    (0.355, 0.365), (0.385, 0.375), (0.395, 0.30), (0.420, 0.275), (0.442, 0.295), (0.435, 0.37), (0.420, 0.50),
    (0.405, 0.640), (0.362, 0.725), (0.26, 0.775), (0.13, 0.805), (0.0, 0.815),
)  # fmt: skip


def draw_jaw(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of the jaws as a panoramic radiograph unrolls them; the patient's right is on the left of the image.

    Args:
        plane: pixel coordinates.
        rng: source of build, missing teeth, fillings and texture.

    Returns:
        (size, size) float32.
    """
    bones = Bones(plane, density=float(rng.uniform(7.0, 9.0)), spongy=0.5)
    smile = float(rng.uniform(0.03, 0.07))
    mirrored = [(-x, y) for x, y in _MANDIBLE[-2:0:-1]]
    bones.plate([*_MANDIBLE, *mirrored], 0.032, 0.008)
    teeth = Bones(plane, density=float(rng.uniform(11.0, 14.0)), spongy=0.7)
    _teeth(teeth, rng, smile)
    for sign in (-1.0, 1.0):
        bones.stroke(
            [(sign * x, y) for x, y in ((0.20, 0.33), (0.30, 0.28), (0.42, 0.245), (0.48, 0.26))], [0.014] * 4, 0.005
        )
        bones.stroke([(sign * x, y) for x, y in ((0.06, 0.40), (0.20, 0.405), (0.30, 0.37))], [0.008] * 3, 0.005)
        bones.stroke([(sign * x, y) for x, y in ((0.10, 0.20), (0.20, 0.235), (0.29, 0.20))], [0.009] * 3, 0.004)
    bones.stroke([(0.0, 0.16), (float(rng.normal(0, 0.008)), 0.30), (0.0, 0.39)], [0.007, 0.006, 0.010], 0.004)
    result: np.ndarray = _background(plane, rng) + bones.textured(rng, 0.08) + teeth.total
    return result


def _background(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Soft tissue and maxilla, the shadow of the neck's spine in the middle and at the edges, and the air spaces."""
    ax, y = np.abs(plane.x), plane.y
    tissue = np.float32(rng.uniform(0.36, 0.46)) + np.float32(0.16) * np.exp(-((ax / np.float32(0.1)) ** 2)) * y
    tissue += np.float32(0.18) * np.clip((ax - np.float32(0.44)) * np.float32(12.0), 0.0, 1.0)
    maxilla = chord(1 - np.hypot(ax / np.float32(0.27), (y - np.float32(0.40)) / np.float32(0.12)), 0.4)
    tissue += maxilla * np.float32(0.14)
    for centre, radii, depth in (
        ((0.155, 0.325), (0.085, 0.060), 0.16),  # maxillary sinus
        ((0.040, 0.290), (0.030, 0.085), 0.22),  # nasal cavity
        ((0.350, 0.505), (0.030, 0.110), 0.08),  # airway, behind the tongue
    ):
        rho = np.hypot(
            (ax - np.float32(centre[0])) / np.float32(radii[0]), (y - np.float32(centre[1])) / np.float32(radii[1])
        )
        tissue -= chord(1 - rho, 0.5) * np.float32(depth)
    tissue *= 1 + plane.noise(rng, 10) * np.float32(0.05)
    below = np.clip((np.float32(0.93) - y) * np.float32(8.0), 0.0, 1.0)  # the collimated field ends under the chin
    above = np.clip((y - np.float32(0.06)) * np.float32(14.0), 0.0, 1.0)
    result: np.ndarray = (
        tissue * (np.float32(0.35) + np.float32(0.65) * below) * (np.float32(0.5) + np.float32(0.5) * above)
    )
    return result


def _teeth(bones: Bones, rng: np.random.Generator, smile: float) -> None:
    lost = float(rng.uniform(0.0, 0.15))
    for sign in (-1.0, 1.0):
        for upper in (True, False):
            x = 0.002
            for number, (half, crown, root, roots) in enumerate(_TEETH):
                half *= 1.0 if upper or number > 2 else 0.78  # lower incisors are slender
                x += half
                bite = 0.545 - smile * (x / 0.29) ** 2
                if rng.random() >= lost:
                    lean = 0.35 * x * sign
                    _tooth(bones, rng, (sign * x, bite), -1.0 if upper else 1.0, lean, (half, crown, root), roots)
                x += half + 0.001


def _tooth(
    bones: Bones,
    rng: np.random.Generator,
    bite: Point,
    away: float,
    lean: float,
    size: tuple[float, float, float],
    roots: int,
) -> None:
    """Add a tooth: root or roots, crown with its enamel, and at times a filling."""
    half, crown, root = size

    def at(across: float, along: float) -> Point:
        return (bite[0] + across + lean * along, bite[1] + away * (0.004 + along))

    for k in range(roots):
        shift = 0.0 if roots == 1 else (k - 0.5) * half * 1.1
        wide = half * (0.8 if roots == 1 else 0.42)
        end = at(shift * 1.1 + 0.004 * float(np.sign(lean)), crown + root)
        bones.stroke([at(shift * 0.9, crown * 0.6), end], [wide, wide * 0.35], wide * 0.9)
    bones.lump(at(0.0, crown * 0.5), (half * 0.97, crown * 0.56), 0.0, 0.9)
    if roots == 2 and rng.random() < 0.2:
        bones.lump(at(0.0, crown * 0.25), (half * 0.55, crown * 0.25), 0.0, 1.0)
        bones.lump(at(0.0, crown * 0.25), (half * 0.5, crown * 0.22), 0.0, 1.0)
