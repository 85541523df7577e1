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

"""Bones of the drawn thorax: ribs, spine, clavicles, scapulae and the head of the humerus."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from monai_lamps.data.phantom.canvas import Canvas
from monai_lamps.data.phantom.soft import Regions

__all__ = ["bones", "clavicle_field", "spine_field"]

_RIBS = 12


def _tube(distance: np.ndarray, half: np.ndarray | float, cortex: float = 0.42) -> np.ndarray:
    """Path length through a tube with a dense wall, at a distance from its axis; about 1 on the wall's edge."""
    t = np.clip(distance / half, 0.0, 1.0)
    t *= t
    return np.sqrt(1 - t) * (1 - cortex + cortex * 2.2 * t)


def _ribs(canvas: Canvas, anatomy: Anatomy, cage: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Ribs as tilted rings round the cage: the upper half of each loop lies behind, the lower half in front."""
    outer = cage * np.float32(1.012)
    ratio = np.minimum(canvas.ax / outer, 1.0)
    depth = np.sqrt(1 - ratio * ratio)
    loop = np.float32(anatomy.rib_loop) * np.clip(cage / np.float32(anatomy.cage), 0.25, 1.0)
    tilt = loop * ratio / (outer * np.maximum(depth, 0.05))
    cosine = np.maximum(1 / np.sqrt(1 + tilt * tilt), np.float32(0.3))
    sides = anatomy.rib_sides()
    top, pitch = canvas.by_side(sides[:, 0]), canvas.by_side(sides[:, 1])
    within = canvas.inside(outer - canvas.ax, 0.006)
    grazing = np.minimum(np.float32(0.75) + np.float32(0.25) / np.maximum(depth, 0.22), 1.7)
    total = np.zeros_like(cage)
    behind = np.clip(np.float32(0.45) + (canvas.ax - np.float32(0.04)) * 4, 0, 1)  # fainter behind the mediastinum
    before = np.clip((ratio - np.float32(0.42)) * 7, 0, 1)  # ends where the cartilage begins
    halves = (
        (1 - depth, anatomy.rib_width, _RIBS, 0.105, behind),
        (1 + depth, anatomy.rib_width * 1.15, 8, 0.05, before),
    )
    for fall, half, count, density, visible in halves:
        phase = (canvas.y - loop * fall - top) / pitch
        number = np.clip(np.rint(phase), 0, count - 1)
        index = number.astype(np.int32) + canvas.left * np.int32(anatomy.rib_jitter.shape[1])
        number += np.take(anatomy.rib_jitter.astype(np.float32).ravel(), index)
        distance = np.abs(phase - number) * pitch * cosine
        total += _tube(distance, np.float32(half)) * (visible * np.float32(density))
    hidden = 1 - np.float32(0.65) * np.clip(below * np.float32(8.0), 0.0, 1.0)  # scatter veils ribs over the belly
    result: np.ndarray = total * within * grazing * hidden
    return result


def spine_field(canvas: Canvas, anatomy: Anatomy) -> np.ndarray:
    """Signed field of the column of vertebral bodies; (size, size) float32, positive inside."""
    half = np.float32(anatomy.vertebra[3]) * (np.float32(0.86) + np.float32(0.3) * np.clip(canvas.y, 0, 1))
    result: np.ndarray = half - canvas.ax
    return result


def _spine(canvas: Canvas, anatomy: Anatomy) -> np.ndarray:
    """Vertebral bodies with discs, pedicles, spinous and transverse processes."""
    first, pitch, growth, _ = anatomy.vertebra
    field = spine_field(canvas, anatomy)
    half = field + canvas.ax
    phase = (canvas.y - np.float32(first)) / np.float32(pitch)
    phase -= np.float32(growth) * phase * np.abs(phase) * np.float32(0.5)
    within = phase - np.rint(phase)
    waist = field + np.float32(0.004) * np.cos(within * np.float32(2 * np.pi)) - np.float32(0.004)
    level = np.abs(within)
    body = np.clip((np.float32(0.42) - level) * 14, 0, 1)
    plate = np.exp(-(((level - np.float32(0.38)) * 16) ** 2))
    column = canvas.inside(waist, 0.007) * (np.float32(0.07) + np.float32(0.06) * body + np.float32(0.04) * plate)
    ring = np.hypot((canvas.ax / half - np.float32(0.62)) * 0.6, (within + np.float32(0.12)) * 0.75)
    pedicle = np.exp(-(((ring - np.float32(0.13)) * 14) ** 2))
    process = np.exp(-((canvas.ax * 140) ** 2) - ((within - np.float32(0.2)) * 5) ** 2)
    wing = np.clip((np.float32(1.75) - canvas.ax / half) * 4, 0, 1) * np.exp(-(((within + np.float32(0.15)) * 8) ** 2))
    result: np.ndarray = column + np.float32(0.05) * pedicle + np.float32(0.07) * process + np.float32(0.04) * wing
    return result


def clavicle_field(canvas: Canvas, anatomy: Anatomy, side: int) -> np.ndarray:
    """Signed field of one clavicle; (size, size) float32, positive inside.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
        side: ``RIGHT`` or ``LEFT``.
    """
    start, end = anatomy.clavicle_ends
    field = np.full_like(canvas.x, -1.0)
    reach = (start - 0.02, end + 0.02) if side == LEFT else (-end - 0.02, -start + 0.02)
    rows, columns = canvas.box(reach, (0.02, 0.28))
    ax, y = canvas.ax[rows, columns], canvas.y[rows, columns]
    half = np.float32(anatomy.clavicle[side][3])
    t = np.clip((ax - np.float32(start)) / np.float32(end - start), 0.0, 1.0)
    wide = half * (1 + np.float32(0.45) * np.clip(1 - 5 * t, 0, 1) + np.float32(0.25) * np.clip(4 * t - 3, 0, 1))
    across = wide - np.abs(y - anatomy.clavicle_axis(side, ax)) * np.float32(0.93)
    along = np.minimum(ax - np.float32(start), np.float32(end) - ax)
    near = canvas.left[rows, columns] == (side == LEFT)
    field[rows, columns] = np.where(near, np.minimum(across, along), np.float32(-1.0))
    return field


def _clavicles(canvas: Canvas, anatomy: Anatomy) -> np.ndarray:
    total = np.zeros_like(canvas.x)
    for side in (RIGHT, LEFT):
        field = clavicle_field(canvas, anatomy, side)
        half = np.float32(anatomy.clavicle[side][3])
        edge = np.exp(-(((field - np.float32(0.003)) * np.float32(350.0)) ** 2))
        total += canvas.inside(field, 0.003) * (np.float32(0.11) + 0.04 * np.clip(field / half, 0, 1)) + 0.05 * edge
    return total


def _shoulders(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """Blades of the scapulae, glenoid and head and shaft of the humerus; partly off many images."""
    turn = np.float32(rng.uniform(-0.02, 0.05))  # how far the blades are rotated off the lungs
    height = canvas.by_side((anatomy.clavicle[RIGHT][1] - 0.118, anatomy.clavicle[LEFT][1] - 0.118))
    ax, y = canvas.ax - turn, canvas.y - height
    medial = (ax - np.float32(0.285)) - (y - np.float32(0.18)) * np.float32(0.16)
    lateral = np.float32(0.425) - ax - (y - np.float32(0.22)) * np.float32(0.36)
    upper = (y - np.float32(0.15)) + (ax - np.float32(0.29)) * np.float32(0.12)
    blade = np.minimum(np.minimum(medial, lateral * np.float32(0.93)), upper)
    blade = np.minimum(blade, np.float32(0.47) - y)
    rim = np.exp(-(((lateral - np.float32(0.008)) * np.float32(120.0)) ** 2)) * canvas.inside(blade + 0.01, 0.006)
    thin = canvas.inside(blade, 0.005) * (np.float32(0.035)) + np.exp(-((blade * np.float32(220.0)) ** 2)) * 0.035
    head = np.float32(0.05) - np.hypot(ax - np.float32(0.475), y - np.float32(0.185))
    middle = np.float32(0.49) + (y - np.float32(0.2)) * np.float32(anatomy.arm_flare * 0.8)
    shaft = np.where(y > np.float32(0.19), np.float32(0.026) - np.abs(ax - middle), np.float32(-1.0))
    bone = np.maximum(head, shaft)
    shell = np.exp(-(((bone - np.float32(0.005)) * np.float32(200.0)) ** 2))
    spine = np.float32(0.011) - np.abs(y - np.float32(0.175) + (ax - np.float32(0.30)) * np.float32(0.42))
    spine = np.minimum(spine, np.minimum(ax - np.float32(0.30), np.float32(0.47) - ax))
    total = thin + rim * np.float32(0.07) + canvas.inside(spine, 0.01) * np.float32(0.06)
    result: np.ndarray = total + canvas.inside(bone, 0.006) * np.float32(0.14) + shell * np.float32(0.06)
    return result


def bones(canvas: Canvas, anatomy: Anatomy, regions: Regions, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of all bones.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
        regions: the shared fields.
        rng: source of the density and of the turn of the scapulae.

    Returns:
        (size, size) float32, at least 0, in the unit of soft tissue (1 = the trunk's middle).
    """
    density = np.float32(rng.uniform(0.8, 1.25))
    total = _ribs(canvas, anatomy, regions.cage, regions.below) + _spine(canvas, anatomy)
    result: np.ndarray = (total + _clavicles(canvas, anatomy) + _shoulders(canvas, anatomy, rng)) * density
    return result
