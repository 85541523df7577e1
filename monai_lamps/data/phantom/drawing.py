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

"""One drawn chest radiograph: patient, pose and film drawn at random from (seed, index), then rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_lamps.data.phantom.anatomy import Anatomy
from monai_lamps.data.phantom.annotations import landmarks, masks
from monai_lamps.data.phantom.bones import bones
from monai_lamps.data.phantom.canvas import Canvas, smooth_noise
from monai_lamps.data.phantom.film import Film
from monai_lamps.data.phantom.frame import Frame
from monai_lamps.data.phantom.opacities import draw_opacities
from monai_lamps.data.phantom.soft import find_regions, soft_tissue
from monai_lamps.data.phantom.vessels import vessels

__all__ = ["MIN_SIZE", "ThoraxDrawing", "check_drawing", "draw_annotated_thorax", "draw_thorax"]

MIN_SIZE = 32


@dataclass(frozen=True)
class ThoraxDrawing:
    """A drawn radiograph and what it shows.

    Attributes:
        image: (1, size, size) float32 in [0, 1].
        masks: (S, size, size) bool in the order of ``STRUCTURES``.
        landmarks: name to (k, 2) float32 ``(row, column)`` in pixels.
        opacity_mask: (1, size, size) bool.
        opacity_boxes: (3, 4) float32 (lowest row, lowest column, highest row, highest column), zeros where absent.
        breast_shadows: whether breasts are drawn over the lower lungs.
    """

    image: np.ndarray
    masks: np.ndarray
    landmarks: dict[str, np.ndarray]
    opacity_mask: np.ndarray
    opacity_boxes: np.ndarray
    breast_shadows: bool


def check_drawing(size: int, seed: int, opacities: float) -> None:
    """Check the arguments that all drawing functions share.

    Raises:
        TypeError: when ``size`` or ``seed`` is not an integer.
        ValueError: when ``size`` < 32, ``seed`` < 0 or ``opacities`` is not in [0, 1].
    """
    for name, value in (("size", size), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}.")
    if size < MIN_SIZE:
        raise ValueError(f"size must be at least {MIN_SIZE} pixels, got {size}; draw larger and reduce the image.")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}; choose 0 or above.")
    if not 0.0 <= opacities <= 1.0:
        raise ValueError(f"opacities is a probability and must lie in [0, 1], got {opacities}.")


def _draw(index: int, size: int, seed: int, opacities: float, annotate: bool) -> ThoraxDrawing:
    check_drawing(size, seed, opacities)
    if index < 0:
        raise ValueError(f"index must not be negative, got {index}; images are numbered from 0.")
    # one stream a part, so that a change of one part leaves the others as they were
    part = [np.random.default_rng([int(seed), int(index), k]) for k in range(8)]
    anatomy = Anatomy.draw(part[0])
    canvas = Canvas(Frame.draw(part[1]), int(size))
    film = Film.draw(part[2])
    regions = find_regions(canvas, anatomy)
    attenuation = soft_tissue(canvas, anatomy, regions, part[3])
    lung = canvas.inside(regions.lung, 0.012)
    fine = smooth_noise(part[4], 48, size) * np.float32(0.012) + smooth_noise(part[4], 14, size) * np.float32(0.02)
    attenuation += lung * (vessels(canvas, anatomy, part[4]) + fine)
    attenuation += bones(canvas, anatomy, regions, part[5]) * canvas.inside(regions.body, 0.004)
    field = film.exposed(size)
    exposed = np.ones((size, size), dtype=bool) if field is None else field > 0.5
    haze, opacity_mask, boxes = draw_opacities(canvas, anatomy, (regions.lung > 0) & exposed, opacities, part[6])
    attenuation += haze
    image = film.develop(attenuation, part[3], part[7])
    found, points = np.zeros((0, size, size), dtype=bool), {}
    if annotate:
        found, points = masks(canvas, anatomy, regions) & exposed, landmarks(canvas, anatomy)
    return ThoraxDrawing(image[None], found, points, opacity_mask[None], boxes, anatomy.female)


def draw_thorax(index: int, size: int = 256, seed: int = 0, opacities: float = 0.0) -> np.ndarray:
    """Draw one frontal chest radiograph.

    It is a sum of attenuations (soft tissue, less the air of lungs and airways, plus vessels and bones) with quantum
    noise, seen through a film curve. The arrangement of the anatomy is always the same; build, pose, exposure and
    texture vary. The same (index, seed) gives the same patient at every size; only the pixel noise differs.

    Args:
        index: number of the image, at least 0.
        size: image side in pixels, at least 32.
        seed: number of the series, at least 0.
        opacities: probability in [0, 1] that one to three lung opacities are drawn.

    Returns:
        (1, size, size) float32 in [0, 1], 0 dark (air), 1 bright; the patient's right is on the left of the image.

    Raises:
        TypeError: when ``size`` or ``seed`` is not an integer.
        ValueError: when an argument is out of its range.
    """
    return _draw(index, size, seed, opacities, annotate=False).image


def draw_annotated_thorax(index: int, size: int = 256, seed: int = 0, opacities: float = 0.0) -> ThoraxDrawing:
    """Draw one frontal chest radiograph with its masks and landmarks.

    Args, image and errors as :func:`draw_thorax`.

    Returns:
        The drawing; masks are cut where the collimation hides the body, landmarks are not.
    """
    return _draw(index, size, seed, opacities, annotate=True)
