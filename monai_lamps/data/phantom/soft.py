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

"""Soft tissue and air of the drawn thorax: body, lungs, heart, breasts, airways and gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_lamps.data.phantom.anatomy import Anatomy
from monai_lamps.data.phantom.canvas import Canvas, smooth_noise

__all__ = ["APEX_ROUNDING", "Regions", "airway_depth", "find_regions", "soft_tissue", "trachea_field"]

APEX_ROUNDING = 0.05  # radius-like width over which the lung's medial and lateral border melt at the apex


@dataclass(frozen=True)
class Regions:
    """Signed fields (positive inside, about canonical distance) and profiles that several structures share.

    Attributes:
        body: the body's outline.
        lung: both lungs, as seen: beside mediastinum and heart, above the diaphragm.
        below: depth under the diaphragm.
        heart: the heart's silhouette (1 at the centre of its ellipse, 0 on the border).
        cage: half-width of the rib cage at each pixel.
        torso: thickness of the trunk, 0 to 1.
    """

    body: np.ndarray
    lung: np.ndarray
    below: np.ndarray
    heart: np.ndarray
    cage: np.ndarray
    torso: np.ndarray


def _round(field: np.ndarray) -> np.ndarray:
    """Thickness profile of a convex body whose field is 1 at the centre and 0 on the border."""
    result: np.ndarray = np.sqrt(np.maximum(field, 0.0))
    return result


def _body(canvas: Canvas, anatomy: Anatomy, cage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed field of the body's outline and its thickness (1 = the trunk at its middle)."""
    ax, y = canvas.ax, canvas.y
    top = canvas.over_x(anatomy.shoulder_table)
    flank = cage + np.float32(anatomy.wall)
    arm = flank + (y - np.float32(anatomy.arm_gap)) * np.float32(anatomy.arm_flare)
    outer = np.float32(0.57) + (y - np.float32(0.25)) * np.float32(anatomy.arm_flare)
    gap = np.minimum(ax - flank, arm - ax)
    field = np.minimum(np.minimum(y - top, -gap), outer - ax)
    trunk = _round(1 - (ax / (flank + np.float32(0.015))) ** 2)
    collum = np.float32(0.62) * _round(1 - (ax / np.float32(anatomy.neck + 0.03)) ** 2)
    height = np.clip((np.float32(anatomy.arm_gap + 0.06) - y) * np.float32(4.0), 0.0, 1.0)
    girdle = np.float32(0.62) * _round(np.clip((y - top) * np.float32(6.0), 0.0, 1.0)) * height
    limb = np.float32(0.5) * _round(1 - ((ax - (arm + outer) / 2) / np.float32(0.1)) ** 2)
    fourth = trunk**4 + collum**4 + girdle**4 + limb**4
    return field, np.sqrt(np.sqrt(fourth))


def find_regions(canvas: Canvas, anatomy: Anatomy) -> Regions:
    """Compute the shared fields of one image.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
    """
    ax, y = canvas.ax, canvas.y
    cage = np.maximum(canvas.over_y(anatomy.cage_table), np.float32(1e-3))
    body, torso = _body(canvas, anatomy, cage)
    medial, lateral = ax - canvas.over_y(anatomy.medial_table), cage - ax
    overlap = np.maximum(APEX_ROUNDING - np.abs(medial - lateral), 0.0)
    beside = np.minimum(medial, lateral) - overlap * overlap * np.float32(0.25 / APEX_ROUNDING)
    below = y - canvas.over_x(anatomy.diaphragm_table)
    hx, hy, long, short, tilt = anatomy.heart
    cos, sin = np.cos(tilt), np.sin(tilt)
    along = (canvas.x - np.float32(hx)) * np.float32(cos / long) + (y - np.float32(hy)) * np.float32(sin / long)
    across = (canvas.x - np.float32(hx)) * np.float32(-sin / short) + (y - np.float32(hy)) * np.float32(cos / short)
    heart = 1 - along * along - across * across
    return Regions(body, np.minimum(beside, -below), below, heart, cage, torso)


def trachea_field(canvas: Canvas, anatomy: Anatomy) -> np.ndarray:
    """Signed field of the trachea from the neck to the carina; (size, size) float32, positive inside."""
    top, end, carina, half = anatomy.trachea
    middle = np.float32(top) + (canvas.y + np.float32(0.1)) * np.float32((end - top) / (carina + 0.1))
    beside = np.float32(half) - np.abs(canvas.x - middle)
    result: np.ndarray = np.minimum(np.minimum(beside, np.float32(carina) - canvas.y), canvas.y + np.float32(0.1))
    return result


def airway_depth(canvas: Canvas, anatomy: Anatomy) -> np.ndarray:
    """Air in trachea and main bronchi, as a fraction of the trachea's depth; (size, size) float32 in [0, 1]."""
    _, end, carina, half = anatomy.trachea
    depth = canvas.inside(trachea_field(canvas, anatomy), 0.012)
    rows, columns = canvas.box((-0.14, 0.14), (carina - 0.03, carina + 0.14))
    x, y = canvas.x[rows, columns], canvas.y[rows, columns]
    side = x - np.float32(end)
    run = np.where(side > 0, np.float32(0.95), np.float32(0.6))  # the right main bronchus is the steeper one
    reach = np.clip((np.float32(0.1) - np.abs(side)) * np.float32(25.0), 0.0, 1.0)
    slope = np.abs(y - np.float32(carina - 0.008) - np.abs(side) / run)
    tube = np.clip((np.float32(half * 0.85) - slope * run / np.sqrt(1 + run * run)) * np.float32(70.0), 0.0, 1.0)
    depth[rows, columns] = np.maximum(depth[rows, columns], tube * reach * np.float32(0.7))
    return depth


def _gas(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """Gas under the left dome (stomach, colon): attenuation that is missing there."""
    out = np.zeros_like(canvas.x)
    dome = anatomy.dome[1]
    for _ in range(int(rng.integers(0, 4))):
        cx, cy = anatomy.dome_at[1] + rng.normal(-0.02, 0.05), dome + rng.uniform(0.035, 0.13)
        rx, ry = rng.uniform(0.015, 0.06), rng.uniform(0.012, 0.03)
        level = cy + ry * rng.uniform(0.1, 1.2)  # an air-fluid level may flatten the bubble
        rows, columns = canvas.box((cx - 1.2 * rx, cx + 1.2 * rx), (cy - 1.2 * ry, cy + 1.2 * ry))
        x, y = canvas.x[rows, columns], canvas.y[rows, columns]
        field = _round(1 - ((x - np.float32(cx)) / rx) ** 2 - ((y - np.float32(cy)) / ry) ** 2)
        field *= np.clip((np.float32(level) - y) * np.float32(150.0), 0.0, 1.0)
        out[rows, columns] = np.maximum(out[rows, columns], field * np.float32(rng.uniform(0.15, 0.42)))
    return out.astype(np.float32)


def _breasts(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """Breast shadows: half-ellipsoids over the lower lungs that end in a soft lower edge."""
    size, low, density = rng.uniform(0.11, 0.17), rng.uniform(0.56, 0.66), rng.uniform(0.10, 0.24)
    centre = np.float32(rng.uniform(0.22, 0.27))
    asymmetry = canvas.by_side((low + rng.normal(0, 0.01), low + rng.normal(0, 0.01)))
    down = canvas.y - asymmetry
    tall = np.where(down > 0, np.float32(size * 0.8), np.float32(size * 1.7))
    field = 1 - ((canvas.ax - centre) / np.float32(size * 1.15)) ** 2 - (down / tall) ** 2
    result: np.ndarray = _round(field) * np.float32(density)
    return result


def soft_tissue(canvas: Canvas, anatomy: Anatomy, regions: Regions, rng: np.random.Generator) -> np.ndarray:
    """Attenuation of everything but bone, vessels and disease.

    Args:
        canvas: pixel coordinates.
        anatomy: the patient.
        regions: the shared fields.
        rng: source of tissue texture, gas, breasts.

    Returns:
        (size, size) float32, 1 is about the trunk's middle without bone; may be slightly negative in gas.
    """
    y, size = canvas.y, canvas.size
    texture = smooth_noise(rng, 7, size) * np.float32(0.03) + smooth_noise(rng, 22, size) * np.float32(0.012)
    trunk = regions.torso * (np.float32(0.86) + np.float32(0.22) * np.clip(y, 0.0, 1.0)) * (1 + texture)
    skin = np.clip(regions.body * np.float32(1 / 0.035), 0.0, 1.0)
    tissue = (trunk * _round(skin) + np.float32(0.1) * skin) * canvas.inside(regions.body, 0.004)
    if anatomy.female:
        tissue += _breasts(canvas, anatomy, rng) * skin
    bulk = _round(regions.heart)
    heart = canvas.inside(regions.heart * np.float32(0.06), 0.006)
    depth = _round(1 - (canvas.ax / regions.cage) ** 2) * np.float32(rng.uniform(0.60, 0.72))
    lung = canvas.inside(regions.lung, 0.005)
    recess = np.clip(1 - regions.below * np.float32(9.0), 0.0, 1.0) * np.float32(0.13) * (1 - lung)
    beside_spine = np.clip((canvas.ax - np.float32(0.03)) * np.float32(14.0), 0.0, 1.0)
    beside_spine *= np.clip((y - np.float32(0.12)) * np.float32(12.0), 0.0, 1.0)
    behind = np.where(regions.below > 0, recess, np.float32(0.26) * (1 - lung)) * beside_spine
    behind *= canvas.inside(regions.cage - canvas.ax, 0.01)
    air = depth * (lung + behind)
    air -= heart * bulk * np.float32(0.16) * (regions.below < 0)
    air += airway_depth(canvas, anatomy) * np.float32(0.25)
    result: np.ndarray = tissue - air - _gas(canvas, anatomy, rng)
    return result
