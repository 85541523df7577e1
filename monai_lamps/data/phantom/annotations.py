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

"""Masks and landmarks of the drawn thorax, from the same contours that draw the image."""

from __future__ import annotations

import numpy as np

from monai_lamps.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from monai_lamps.data.phantom.bones import clavicle_field, spine_field
from monai_lamps.data.phantom.canvas import Canvas
from monai_lamps.data.phantom.soft import APEX_ROUNDING, Regions, trachea_field

__all__ = ["LANDMARKS", "STRUCTURES", "landmarks", "masks"]

STRUCTURES = (
    "body",
    "right_lung",
    "left_lung",
    "heart",
    "right_clavicle",
    "left_clavicle",
    "spine",
    "trachea",
)
"""Names of the masks in the order in which they are stacked; left and right are the patient's."""

LANDMARKS = {
    "right_lung": 11,
    "left_lung": 11,
    "heart": 12,
    "right_clavicle": 6,
    "left_clavicle": 6,
    "vertebrae": 10,
    "carina": 1,
}
"""Number of landmarks of each structure."""

_LEVELS = np.array([0.2, 0.4, 0.6, 0.8])


def masks(canvas: Canvas, anatomy: Anatomy, regions: Regions) -> np.ndarray:
    """Masks of :data:`STRUCTURES`; they may overlap (spine and heart, clavicle and lung).

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
        regions: the shared fields.

    Returns:
        (S, size, size) bool.
    """
    body, lung = regions.body > 0, regions.lung > 0
    parts = (
        body,
        lung & ~canvas.left,
        lung & canvas.left,
        regions.heart > 0,
        clavicle_field(canvas, anatomy, RIGHT) > 0,
        clavicle_field(canvas, anatomy, LEFT) > 0,
        spine_field(canvas, anatomy) > 0,
        trachea_field(canvas, anatomy) > 0,
    )
    return np.stack(parts) & body


def _lung(anatomy: Anatomy, side: int) -> np.ndarray:
    """Apex, four lateral points downwards, costophrenic angle, middle of the seen diaphragm, cardiophrenic angle,
    three medial points upwards: (11, 2) canonical ``(x, y)``.
    """
    sign = 1.0 if side == LEFT else -1.0
    y = np.linspace(0.0, 0.3, 1201)
    gap = anatomy.lookup(anatomy.cage_table, y) - anatomy.lookup(anatomy.medial_table[side], y)
    top = float(y[np.argmax(gap > APEX_ROUNDING / 2)])  # half the rounding width: there the rounded borders meet
    apex_x = float(anatomy.lookup(anatomy.cage_table, top)) - APEX_ROUNDING / 4

    def corner(border: np.ndarray) -> tuple[float, float]:
        height = np.linspace(0.5, 1.1, 2401)
        x = anatomy.lookup(border, height)
        at = int(np.argmax(height > anatomy.lookup(anatomy.diaphragm_table[side], x)))
        return float(x[at]), float(height[at])

    outer, inner = corner(anatomy.cage_table), corner(anatomy.medial_table[side])
    down = top + (outer[1] - top) * _LEVELS
    up = (top + (inner[1] - top) * _LEVELS)[::-1]
    middle = (outer[0] + inner[0]) / 2
    points = [
        (apex_x, top),
        *zip(anatomy.lookup(anatomy.cage_table, down), down),
        outer,
        (middle, float(anatomy.lookup(anatomy.diaphragm_table[side], middle))),
        inner,
        *zip(anatomy.lookup(anatomy.medial_table[side], up[:3]), up[:3]),
    ]
    return np.array(points) * (sign, 1.0)


def _heart(anatomy: Anatomy) -> np.ndarray:
    """Twelve points round the ellipse, the first at the apex of the heart, (12, 2)."""
    hx, hy, long, short, tilt = anatomy.heart
    t = np.arange(12) * (np.pi / 6)
    a, b = long * np.cos(t), short * np.sin(t)
    return np.stack([hx + a * np.cos(tilt) - b * np.sin(tilt), hy + a * np.sin(tilt) + b * np.cos(tilt)], 1)


def _clavicle(anatomy: Anatomy, side: int) -> np.ndarray:
    """Medial end, three points of the upper border and one of the lower, lateral end, (6, 2)."""
    sign = 1.0 if side == LEFT else -1.0
    start, end = anatomy.clavicle_ends
    half = anatomy.clavicle[side][3] / 0.93
    t = np.array([0.0, 0.3, 0.5, 0.7, 0.5, 1.0])
    x = start + (end - start) * t
    y = anatomy.clavicle_axis(side, x) + half * np.array([0.0, -1.0, -1.0, -1.0, 1.0, 0.0])
    return np.stack([sign * x, y], 1)


def landmarks(canvas: Canvas, anatomy: Anatomy) -> dict[str, np.ndarray]:
    """Landmarks in pixels.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.

    Returns:
        For each name of :data:`LANDMARKS` a (k, 2) float32 of ``(row, column)``; the order of the points is the same in
        every image. Lungs, heart and clavicles: points of the mask's border; vertebrae: middles of ten
        vertebral bodies from the top. Points may lie outside the image.
    """
    first, pitch, growth, _ = anatomy.vertebra
    number = np.arange(2.0, 12.0)
    phase = (1 - np.sqrt(1 - 2 * growth * number)) / growth  # inverse of the growing pitch
    points = {
        "right_lung": _lung(anatomy, RIGHT),
        "left_lung": _lung(anatomy, LEFT),
        "heart": _heart(anatomy),
        "right_clavicle": _clavicle(anatomy, RIGHT),
        "left_clavicle": _clavicle(anatomy, LEFT),
        "vertebrae": np.stack([np.zeros(10), first + pitch * phase], 1),
        "carina": np.array([anatomy.trachea[1:3]]),
    }
    return {name: canvas.frame.to_image(p, canvas.size).astype(np.float32) for name, p in points.items()}
