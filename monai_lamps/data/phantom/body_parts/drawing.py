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
"""One drawn radiograph of a body part: anatomy, pose and film drawn at random from (seed, part, index)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from monai_lamps.data.phantom.body_parts.foot import draw_foot
from monai_lamps.data.phantom.body_parts.hand import draw_hand
from monai_lamps.data.phantom.body_parts.jaw import draw_jaw
from monai_lamps.data.phantom.body_parts.knee import draw_knee
from monai_lamps.data.phantom.body_parts.pelvis import draw_pelvis
from monai_lamps.data.phantom.body_parts.shapes import Plane
from monai_lamps.data.phantom.body_parts.spine import draw_spine
from monai_lamps.data.phantom.drawing import check_drawing, draw_thorax
from monai_lamps.data.phantom.film import Film
from monai_lamps.data.phantom.frame import Frame

__all__ = ["BODY_PARTS", "BodyPartDrawing", "check_part", "draw_body_part", "side_and_view"]

_FINEST = 128  # images of fewer pixels a side are averages
Draw = Callable[[Plane, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class _Part:
    """How a body part is drawn; a paired one is drawn as the left one and mirrored for the right."""

    draw: Draw
    view: str
    paired: bool
    turn: float  # standard deviation of the rotation in radians
    contrast: tuple[float, float]
    magnified: float = 1.0


_PARTS: dict[str, _Part] = {
    "hand": _Part(draw_hand, "PA", True, 0.10, (4.0, 5.6), 1.1),
    "knee": _Part(draw_knee, "AP", True, 0.05, (3.6, 5.0)),
    "foot": _Part(draw_foot, "AP", True, 0.08, (4.0, 5.6), 1.12),
    "spine": _Part(draw_spine, "AP", False, 0.03, (3.0, 4.4)),
    "pelvis": _Part(draw_pelvis, "AP", False, 0.03, (3.0, 4.4)),
    "jaw": _Part(draw_jaw, "PANORAMIC", False, 0.02, (3.2, 4.6)),
}

#: the body parts that can be drawn
BODY_PARTS: tuple[str, ...] = ("chest", *_PARTS)


@dataclass(frozen=True)
class BodyPartDrawing:
    """A drawn radiograph and what it shows.

    Attributes:
        image: (1, size, size) float32 in [0, 1].
        part: one of :data:`BODY_PARTS`.
        laterality: ``"L"``, ``"R"``, or empty where the image shows both sides.
        view: as in DICOM's View Position.
    """

    image: np.ndarray
    part: str
    laterality: str
    view: str


def check_part(part: str) -> None:
    """Raise ValueError unless the body part can be drawn."""
    if part not in BODY_PARTS:
        raise ValueError(f"body part got {part!r}, expected one of {', '.join(BODY_PARTS)}.")


def draw_body_part(part: str, index: int, size: int = 256, seed: int = 0) -> BodyPartDrawing:
    """Draw one radiograph of a body part.

    It is a sum of attenuations of soft tissue and bones with quantum noise, seen through a film curve. The same (part,
    index, seed) gives the same patient at every size; only the pixel noise differs.

    Args:
        part: one of :data:`BODY_PARTS`.
        index: number of the image, at least 0.
        size: image side in pixels, at least 32.
        seed: number of the series, at least 0.

    Raises:
        TypeError: when ``size`` or ``seed`` is not an integer.
        ValueError: when the part is unknown or an argument is out of its range.
    """
    check_part(part)
    check_drawing(size, seed, 0.0)
    if index < 0:
        raise ValueError(f"index must not be negative, got {index}; images are numbered from 0.")
    if part == "chest":
        return BodyPartDrawing(draw_thorax(index, size, seed), part, "", "PA")
    kind = _PARTS[part]
    # one stream a purpose, so that a change of one leaves the others as they were; another eight for each part
    anatomy, pose, exposure, veil, grain = (_stream(part, index, seed, purpose) for purpose in range(1, 6))
    side, view = side_and_view(part, index, seed)
    finer = max(1, round(_FINEST / size))  # the thin bones of a small image are drawn larger and averaged
    plane = Plane(_pose(kind, pose), int(size) * finer, mirrored=side == "R")
    attenuation = kind.draw(plane, anatomy).reshape(size, finer, size, finer).mean((1, 3))
    image = _film(kind, side, exposure).develop(attenuation, veil, grain)
    return BodyPartDrawing(image[None], part, side, view)


def side_and_view(part: str, index: int, seed: int = 0) -> tuple[str, str]:
    """Laterality and view of an image, without drawing it.

    Args:
        part: one of :data:`BODY_PARTS`.
        index: number of the image.
        seed: number of the series.
    """
    if part == "chest":
        return "", "PA"
    side = "R" if _stream(part, index, seed, 0).random() < 0.5 else "L"
    return side if _PARTS[part].paired else "", _PARTS[part].view


def _stream(part: str, index: int, seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([int(seed), int(index), 8 * BODY_PARTS.index(part) + purpose])


def _pose(kind: _Part, rng: np.random.Generator) -> Frame:
    """Place the part before the detector; limbs are turned more than the trunk."""
    bend = tuple((float(rng.normal(0, 0.006 / f)), f, float(rng.uniform(0, 6.28))) for f in (0.8, 1.9))
    return Frame(
        scale=kind.magnified * float(rng.uniform(0.9, 1.1)),
        breadth=float(rng.uniform(0.94, 1.06)),
        angle=float(np.clip(rng.normal(0.0, kind.turn), -2.5 * kind.turn, 2.5 * kind.turn)),
        shift=(float(rng.normal(0.0, 0.02)), float(rng.normal(0.0, 0.02))),
        bend_x=bend,
    )


def _film(kind: _Part, side: str, rng: np.random.Generator) -> Film:
    """An exposure; the lead letter of a limb tells its side."""
    film = Film.draw(rng)
    speed, contrast = float(rng.uniform(0.46, 0.64)), float(rng.uniform(*kind.contrast))
    mark = (side or film.mark) if film.mark else ""
    return replace(film, speed=speed, contrast=contrast, mark=mark, veil=film.veil * 0.6)
