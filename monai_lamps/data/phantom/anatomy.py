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

"""The drawn thorax's anatomy: a set of measures and the contours that follow from them.

All lengths are in image sides of the canonical frame (see :class:`~monai_lamps.data.phantom.frame.Frame`). Contours are
tables over ``y`` or ``|x|`` with one row a side of the body, so that drawing a contour is one look-up a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter1d

__all__ = ["Anatomy", "LEFT", "RIGHT", "TABLE_LENGTH", "TABLE_START", "TABLE_STEP"]

RIGHT, LEFT = 0, 1  # rows of every table; the patient's sides: the right lung is on the left of the image
TABLE_START, TABLE_STEP, TABLE_LENGTH = -0.6, 0.0005, 4400
_Y = TABLE_START + TABLE_STEP * np.arange(TABLE_LENGTH)


@dataclass(frozen=True)
class Anatomy:
    """The measures of one patient. Pairs are (right, left).

    Args:
        female: whether breast shadows are drawn.
        wall: thickness of the chest wall beside the ribs.
        cage: half-width of the rib cage at its widest.
        cage_top, cage_centre: heights of the dome of the rib cage and of its widest level.
        cage_power: exponents of the superellipse (vertical, horizontal).
        dome: heights of the two domes of the diaphragm.
        dome_at: distance of the top of each dome from the midline.
        dome_drop: fall of the diaphragm from its dome to the chest wall.
        heart: centre x, centre y, long and short half-axis, tilt in radians (long axis down to the patient's left).
        pedicle: half-widths of the upper mediastinum.
        knob: aortic knob: x, y, radius.
        trunk: bulge of the pulmonary trunk.
        waist: how far the left border is filled between knob and apex of the heart (1: a straight line).
        hilum: heights of the hila.
        rib_top, rib_pitch: height of the first rib at the spine and distance between ribs, each side.
        rib_loop: fall of a rib between spine and flank (half of the loop).
        rib_width: half-width of a rib.
        rib_jitter: (2, 14) height error of each rib, in pitches.
        clavicle: each side: medial height, lateral height, curve, half-width.
        clavicle_ends: distance of the medial and the lateral end from the midline.
        vertebra: first height, pitch, growth of the pitch, half-width.
        trachea: x at the top, x at the carina, height of the carina, half-width.
        neck, shoulder, arm_gap, arm_flare: measures of the body outline.
    """

    female: bool
    wall: float
    cage: float
    cage_top: float
    cage_centre: float
    cage_power: tuple[float, float]
    dome: tuple[float, float]
    dome_at: tuple[float, float]
    dome_drop: tuple[float, float]
    heart: tuple[float, float, float, float, float]
    pedicle: tuple[float, float]
    knob: tuple[float, float, float]
    trunk: float
    waist: float
    hilum: tuple[float, float]
    rib_top: tuple[float, float]
    rib_pitch: tuple[float, float]
    rib_loop: float
    rib_width: float
    rib_jitter: np.ndarray
    clavicle: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    clavicle_ends: tuple[float, float]
    vertebra: tuple[float, float, float, float]
    trachea: tuple[float, float, float, float]
    neck: float
    shoulder: float
    arm_gap: float
    arm_flare: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Anatomy:
        """Draw a patient: build, heart size, depth of breath and small asymmetries."""
        u, g = rng.uniform, rng.normal
        breath = u(-1.0, 1.0)  # deep inspiration lowers the diaphragm and makes the heart slimmer
        dome = 0.715 + 0.03 * breath + g(0.0, 0.01)
        right_dome, left_dome = dome - u(0.0, 0.02), dome + u(0.0, 0.025)
        big = u(-1.0, 1.0)
        long, short = 0.185 + 0.018 * big, 0.128 + 0.012 * big - 0.006 * breath
        tilt = u(0.42, 0.85)
        heart_y = left_dome + u(0.005, 0.03) - float(np.hypot(long * np.sin(tilt), short * np.cos(tilt)))
        top, pitch = 0.115 + g(0.0, 0.012), 0.0665 + 0.003 * breath + g(0.0, 0.0015)
        shrug = g(0.0, 0.014)
        carina = 0.355 + g(0.0, 0.012)

        def pair(mean: float, spread: float) -> tuple[float, float]:
            return (mean + g(0.0, spread), mean + g(0.0, spread))

        def clavicle() -> tuple[float, float, float, float]:
            return (0.192 + g(0, 0.01), 0.118 + shrug + g(0, 0.006), u(0.006, 0.02), u(0.0095, 0.0125))

        return cls(
            female=bool(rng.random() < 0.45),
            wall=u(0.035, 0.085),
            cage=u(0.37, 0.405),
            cage_top=u(0.048, 0.08),
            cage_centre=u(0.70, 0.80),
            cage_power=(u(2.3, 2.8), u(2.15, 2.5)),
            dome=(right_dome, left_dome),
            dome_at=(u(0.17, 0.21), u(0.18, 0.23)),
            dome_drop=(u(0.09, 0.14), u(0.09, 0.14)),
            heart=(u(0.05, 0.085), heart_y, long, short, tilt),
            pedicle=(u(0.042, 0.06), u(0.038, 0.052)),
            knob=(u(0.03, 0.045), u(0.275, 0.31), u(0.032, 0.046)),
            trunk=u(0.0, 0.016),
            waist=u(0.72, 0.95),
            hilum=(0.445 + g(0.0, 0.012), 0.42 + g(0.0, 0.012)),
            rib_top=(top + g(0, 0.004), top + g(0, 0.004)),
            rib_pitch=(pitch, pitch + g(0, 0.0006)),
            rib_loop=u(0.10, 0.15),
            rib_width=u(0.0125, 0.0165),
            rib_jitter=g(0.0, 0.05, (2, 14)),
            clavicle=(clavicle(), clavicle()),
            clavicle_ends=(u(0.042, 0.06), u(0.33, 0.37)),
            vertebra=(u(-0.02, 0.03), u(0.051, 0.057), u(0.015, 0.03), u(0.036, 0.044)),
            trachea=(g(0.0, 0.006), -0.006 + g(0.0, 0.006), carina, u(0.017, 0.023)),
            neck=u(0.105, 0.14),
            shoulder=0.035 + shrug + u(-0.02, 0.03),
            arm_gap=u(0.40, 0.58),
            arm_flare=u(0.25, 0.6),
        )

    @cached_property
    def cage_table(self) -> np.ndarray:
        """(TABLE_LENGTH,) half-width of the rib cage over y; 0 above its dome."""
        rise = np.clip((self.cage_centre - _Y) / (self.cage_centre - self.cage_top), 0.0, 1.0)
        below = np.clip((_Y - self.cage_centre) / 0.5, 0.0, 1.0)
        upper = (1.0 - rise ** self.cage_power[0]) ** (1.0 / self.cage_power[1])
        result: np.ndarray = self.cage * upper * (1.0 - 0.3 * below**2)
        return result

    @cached_property
    def heart_table(self) -> np.ndarray:
        """(2, TABLE_LENGTH) distance of the right and left heart border from the midline; NaN above and below."""
        hx, hy, long, short, tilt = self.heart
        c, s = np.cos(tilt), np.sin(tilt)
        a = (c / long) ** 2 + (s / short) ** 2
        b = c * s * (1 / long**2 - 1 / short**2)
        d = (s / long) ** 2 + (c / short) ** 2
        y = _Y - hy
        root = (b * y) ** 2 - a * (d * y**2 - 1)
        half = np.where(root > 0, np.sqrt(np.maximum(root, 0.0)), np.nan)
        return np.stack([-(hx + (-b * y - half) / a), hx + (-b * y + half) / a])

    @cached_property
    def medial_table(self) -> np.ndarray:
        """(2, TABLE_LENGTH) distance of the mediastinal border of each lung from the midline."""
        apex = 0.034 * np.clip((0.18 - _Y) / 0.1, 0.0, 1.5) ** 1.6
        kx, ky, kr = self.knob
        knob = kx + np.sqrt(np.maximum(kr**2 - (_Y - ky) ** 2, 0.0))
        knob[np.abs(_Y - ky) >= kr] = 0.0
        trunk = self.pedicle[LEFT] + self.trunk * np.exp(-(((_Y - self.hilum[LEFT] + 0.02) / 0.035) ** 2))
        vein = self.pedicle[RIGHT] + 0.006 * np.exp(-(((_Y - 0.34) / 0.06) ** 2))
        heart = np.nan_to_num(self.heart_table, nan=0.0)
        widest, keep = heart.argmax(axis=1), (0.9, 0.82)
        for side in (RIGHT, LEFT):  # below its widest level the heart rests on the diaphragm: no lung under it
            heart[side, widest[side] :] = np.maximum(heart[side, widest[side] :], keep[side] * heart[side].max())
        slope = np.interp(_Y, (self.trachea[2], _Y[widest[RIGHT]]), (0.045, 0.96 * heart[RIGHT].max()), left=0.0)
        right = np.maximum.reduce([vein + apex, heart[RIGHT], slope])
        straight = np.interp(_Y, (ky, _Y[widest[LEFT]]), (kx, heart[LEFT].max()), left=0.0)
        left = np.maximum.reduce([trunk + apex, knob, heart[LEFT], self.waist * straight])
        left = gaussian_filter1d(left, 24.0, mode="nearest")
        return np.stack([gaussian_filter1d(right, 24.0, mode="nearest"), left])

    @cached_property
    def diaphragm_table(self) -> np.ndarray:
        """(2, TABLE_LENGTH) height of the diaphragm over ``|x|`` (the table's axis) on each side."""
        rows = []
        for side in (RIGHT, LEFT):
            t = (_Y - self.dome_at[side]) / (self.cage - self.dome_at[side])
            lateral = self.dome_drop[side] * np.clip(t, 0.0, 1.3) ** 2.2
            medial = 0.03 * np.clip(-t, 0.0, 1.5) ** 2
            rows.append(self.dome[side] + lateral + medial)
        return np.stack(rows)

    @cached_property
    def shoulder_table(self) -> np.ndarray:
        """(TABLE_LENGTH,) height of the body's upper outline over ``|x|``: trapezius and shoulder; -1 in the neck."""
        offsets = np.array([0.006, 0.03, 0.09, 0.33 - self.neck, 0.43 - self.neck, 0.5 - self.neck, 0.56 - self.neck])
        rise = np.array([-0.25, -0.07, -0.015, 0.03, 0.055, 0.10, 0.19])
        line = np.interp(_Y, np.append(self.neck + offsets, 0.7), self.shoulder + np.append(rise, 0.6))
        line = gaussian_filter1d(line, 14.0, mode="nearest")
        line[self.neck - 0.002 > _Y] = -1.0
        result: np.ndarray = line
        return result

    def lookup(self, table: np.ndarray, at: float | np.ndarray) -> np.ndarray:
        """Read a one-sided table at canonical coordinates by linear interpolation.

        Args:
            table: (TABLE_LENGTH,) float.
            at: coordinates (y, or ``|x|`` for the diaphragm).
        """
        result: np.ndarray = np.interp(at, _Y, table)
        return result

    def clavicle_axis(self, side: int, distance: np.ndarray) -> np.ndarray:
        """Height of the middle line of a clavicle (an S from the sternum up to the shoulder).

        Args:
            side: ``RIGHT`` or ``LEFT``.
            distance: ``|x|``, float array.
        """
        medial, lateral, curve, _ = self.clavicle[side]
        start, end = self.clavicle_ends
        t = np.clip((distance - start) / (end - start), -0.2, 1.3).astype(np.float32)
        result: np.ndarray = medial + (lateral - medial) * t - curve * np.sin(2 * np.pi * t * 0.9)
        return result

    def rib_sides(self) -> np.ndarray:
        """(2, 2) float: (top, pitch) of the ribs of the right and the left side."""
        return np.array([[self.rib_top[s], self.rib_pitch[s]] for s in (RIGHT, LEFT)])
