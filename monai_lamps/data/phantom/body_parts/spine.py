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
"""The drawn spine, anteroposterior: lower thoracic and lumbar vertebrae, last ribs, sacrum and iliac crests."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.body_parts.shapes import Bones, Plane, Point, chord

__all__ = ["bowel_gas", "draw_spine", "vertebra"]

_VERTEBRAE = 9  # from the ninth thoracic one
_RIBS = 4


def vertebra(bones: Bones, middle: Point, tilt: float, half: float, tall: float, wings: float) -> None:
    """Add one vertebra as seen from the front.

    Args:
        bones: what it is added to.
        middle: centre of its body.
        tilt: rotation in radians.
        half: half-width of its body.
        tall: half-height of its body.
        wings: length of its transverse processes.
    """
    cos, sin = float(np.cos(tilt)), float(np.sin(tilt))

    def at(x: float, y: float) -> Point:
        return (middle[0] + cos * x - sin * y, middle[1] + sin * x + cos * y)

    waist = 0.86 * half
    body = (
        (-half, -tall),
        (0.0, -0.93 * tall),
        (half, -tall),
        (waist, 0.0),
        (half, tall),
        (0.0, 0.93 * tall),
        (-half, tall),
    )
    bones.plate([at(x, y) for x, y in (*body, (-waist, 0.0))], 0.035, 0.009)
    for sign in (-1.0, 1.0):
        bones.stroke(
            [at(sign * 0.55 * half, -0.25 * tall), at(sign * (half + wings), -0.3 * tall)], [0.014, 0.010], 0.004
        )
        bones.lump(at(sign * 0.62 * half, -0.3 * tall), (0.016, 0.024), tilt, 0.8)  # pedicle, end on
    bones.lump(at(0.0, 0.75 * tall), (0.011, 0.6 * tall), tilt, 0.5)  # spinous process


def bowel_gas(plane: Plane, rng: np.random.Generator, centre: Point, reach: Point, count: int) -> np.ndarray:
    """Attenuation that is missing where gas lies in the bowel.

    Args:
        plane: pixel coordinates.
        rng: source of place and size.
        centre: middle of the belly.
        reach: how far the bubbles lie from it.
        count: number of bubbles.
    """
    gas = np.zeros_like(plane.x)
    for _ in range(count):
        x, y = centre[0] + float(rng.normal(0, reach[0])), centre[1] + float(rng.normal(0, reach[1]))
        wide, tall, turn = rng.uniform(0.03, 0.09), rng.uniform(0.02, 0.05), rng.uniform(-1.0, 1.0)
        u, v = plane.x - np.float32(x), plane.y - np.float32(y)
        along = (u * np.float32(np.cos(turn)) + v * np.float32(np.sin(turn))) / np.float32(wide)
        across = (v * np.float32(np.cos(turn)) - u * np.float32(np.sin(turn))) / np.float32(tall)
        bubble = np.maximum(1 - along * along - across * across, 0.0) * np.float32(rng.uniform(0.05, 0.15))
        np.maximum(gas, bubble, out=gas)
    return gas


def draw_spine(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of a spine and the belly before it; the patient's right is on the left of the image.

    Args:
        plane: pixel coordinates.
        rng: source of build, scoliosis, gas and texture.

    Returns:
        (size, size) float32, 0 in air.
    """
    bones = Bones(plane, density=float(rng.uniform(3.6, 4.8)), spongy=0.5)
    bend, phase = float(rng.normal(0, 0.035)), float(rng.uniform(-1.0, 1.0))
    slope = 2 * np.pi * 0.75

    def axis(y: float) -> tuple[float, float]:
        turned = slope * (y - 0.5) + phase
        return bend * float(np.cos(turned)), float(np.arctan(bend * slope * np.sin(turned)))

    stout, y = float(rng.normal(1.0, 0.05)), -0.06
    for number in range(_VERTEBRAE):
        half, tall = (0.068 + 0.0035 * number) * stout, 0.036 + 0.0016 * number
        x, tilt = axis(y)
        vertebra(bones, (x, y), tilt, half, tall, 0.025 if number < _RIBS else 0.055)
        if number < _RIBS:
            _ribs(bones, (x, y), half, number)
        y += 2 * tall + 0.018 + 0.001 * number
    x, _ = axis(y)
    _sacrum(bones, x, y - 0.03, stout)
    tissue = _belly(plane, rng, axis(0.4)[0])
    result: np.ndarray = tissue + bones.textured(rng, 0.08)
    return result


def _ribs(bones: Bones, middle: Point, half: float, number: int) -> None:
    long = 0.36 - 0.075 * number
    for sign in (-1.0, 1.0):
        turns = ((half * 0.9, 0.0), (half + 0.3 * long, 0.012), (half + 0.7 * long, 0.07), (half + long, 0.15))
        line = [(middle[0] + sign * x, middle[1] - 0.02 + y) for x, y in turns]
        bones.stroke(line, [0.013, 0.014, 0.014, 0.011], 0.005)


def _sacrum(bones: Bones, x: float, top: float, stout: float) -> None:
    wide = 0.16 * stout
    contour = (
        (-wide, top + 0.01), (-0.08, top - 0.03), (0.0, top - 0.012), (0.08, top - 0.03), (wide, top + 0.01),
        (wide * 0.9, top + 0.11), (0.07, top + 0.24), (0.0, top + 0.30), (-0.07, top + 0.24), (-wide * 0.9, top + 0.11),
    )  # fmt: skip
    bones.plate([(x + u, v) for u, v in contour], 0.06, 0.006, share=0.6)
    for sign in (-1.0, 1.0):
        wing = ((0.14, 0.03), (0.20, -0.07), (0.32, -0.10), (0.44, -0.03), (0.47, 0.12), (0.40, 0.30), (0.17, 0.30))
        bones.plate([(x + sign * u * stout, top + v) for u, v in wing], 0.03, 0.010)


def _belly(plane: Plane, rng: np.random.Generator, middle: float) -> np.ndarray:
    girth = np.float32(rng.uniform(0.44, 0.62))
    tissue = chord(girth - np.abs(plane.x), 0.3) * np.float32(rng.uniform(0.42, 0.52))
    psoas = (
        np.float32(0.10) + np.clip(plane.y - np.float32(0.25), 0.0, 0.5) * np.float32(0.22) - np.abs(plane.x - middle)
    )
    tissue += np.clip(psoas * np.float32(18.0), 0.0, 1.0) * np.float32(0.05) * (tissue > 0)
    dome = np.float32(rng.uniform(0.10, 0.18)) + ((np.abs(plane.x) - np.float32(0.22)) / np.float32(0.42)) ** 2
    lung = np.clip((dome - plane.y) * np.float32(22.0), 0.0, 1.0)
    lung *= np.clip((np.abs(plane.x) - np.float32(0.075)) * np.float32(14.0), 0.0, 1.0)
    tissue -= (
        lung * np.float32(0.2) * np.clip((girth - np.float32(0.05) - np.abs(plane.x)) * np.float32(20.0), 0.0, 1.0)
    )
    tissue -= bowel_gas(plane, rng, (0.0, 0.5), (0.22, 0.2), int(rng.integers(4, 12)))
    tissue *= 1 + plane.noise(rng, 9) * np.float32(0.05)
    result: np.ndarray = np.maximum(tissue, 0.0)
    return result
