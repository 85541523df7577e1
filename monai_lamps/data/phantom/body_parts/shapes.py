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
"""What body parts are drawn with: pixel coordinates, soft tissue, and three kinds of bone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from monai_lamps.data.phantom.canvas import smooth_noise
from monai_lamps.data.phantom.frame import Frame

__all__ = ["Bones", "Plane", "Point", "chord", "flesh", "onward"]

Point = tuple[float, float]
_SUBDIVISIONS = 4  # straight pieces between two given points of a contour


class Plane:
    """Canonical coordinates of the pixels: ``x`` from -0.5 to 0.5 to the right, ``y`` from 0 to 1 downwards.

    Args:
        frame: the pose.
        size: image side in pixels.
        mirrored: whether ``x`` runs to the left.

    Attributes:
        x, y: (size, size) float32.
        pixel: side of a pixel in canonical units.
    """

    def __init__(self, frame: Frame, size: int, mirrored: bool = False) -> None:
        self.frame, self.size, self.sign = frame, size, -1.0 if mirrored else 1.0
        x, self.y = frame.grid(size)
        self.x = -x if mirrored else x
        self.pixel = 1.0 / (size * frame.scale)

    def window(self, points: np.ndarray, margin: float) -> tuple[slice, slice]:
        """Slices of the smallest pixel box that holds points and a margin round them.

        Args:
            points: (k, 2) float ``(x, y)``.
            margin: in canonical units.
        """
        low, high = points.min(0) - margin, points.max(0) + margin
        corners = np.array([(self.sign * a, b) for a in (low[0], high[0]) for b in (low[1], high[1])])
        pixels = self.frame.to_image(corners, self.size)
        first = np.clip(np.floor(pixels.min(0)) - 2, 0, self.size).astype(int)
        last = np.clip(np.ceil(pixels.max(0)) + 3, 0, self.size).astype(int)
        return slice(first[0], max(last[0], first[0])), slice(first[1], max(last[1], first[1]))

    def noise(self, rng: np.random.Generator, cells: int) -> np.ndarray:
        """Smooth random field, (size, size) float32 of standard deviation about 1."""
        return smooth_noise(rng, cells, self.size)


def chord(field: np.ndarray, depth: np.ndarray | float) -> np.ndarray:
    """Length of a ray's way through a round body, 1 where it is deepest.

    Args:
        field: signed distance from the outline, positive inside.
        depth: distance from the outline to the axis; farther inside the body is flat.
    """
    rest = 1 - np.clip(field / depth, 0.0, 1.0)
    result: np.ndarray = np.sqrt(1 - rest * rest)
    return result


def onward(start: Point, direction: float, length: float) -> Point:
    """The point that lies some length away.

    Args:
        start: where it begins.
        direction: angle in radians; 0 is upwards, positive turns to ``+x``.
        length: in canonical units.
    """
    return (start[0] + float(np.sin(direction)) * length, start[1] - float(np.cos(direction)) * length)


def _capsule(
    x: np.ndarray, y: np.ndarray, ends: tuple[Point, Point], radii: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Signed field of a tapered stroke from one point to another, and its half-width beside each pixel."""
    (ax, ay), (bx, by) = ends
    dx, dy = bx - ax, by - ay
    t = ((x - np.float32(ax)) * np.float32(dx) + (y - np.float32(ay)) * np.float32(dy)) / np.float32(dx * dx + dy * dy)
    t = np.clip(t, 0.0, 1.0)
    wide = np.float32(radii[0]) + np.float32(radii[1] - radii[0]) * t
    away = np.hypot(x - np.float32(ax) - t * np.float32(dx), y - np.float32(ay) - t * np.float32(dy))
    return wide - away, wide


def _smooth_closed(points: Sequence[Point]) -> np.ndarray:
    """A closed contour through the points as straight pieces of a Catmull-Rom spline; (k, 2)."""
    p = np.asarray(points, dtype=np.float64)
    before, after, later = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    pieces = []
    for t in np.arange(_SUBDIVISIONS) / _SUBDIVISIONS:
        bend = (2 * before - 5 * p + 4 * after - later) * t + (3 * (p - after) + later - before) * t * t
        pieces.append(p + 0.5 * t * (after - before + bend))
    return np.stack(pieces, 1).reshape(-1, 2)


def _contour(x: np.ndarray, y: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Signed distance from a closed polygon, positive inside."""
    nearest = np.full(x.shape, 1e6, dtype=np.float32)
    inside = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points.astype(np.float32), np.roll(points, -1, 0).astype(np.float32)):
        dx, dy, u, v = bx - ax, by - ay, x - ax, y - ay
        t = np.clip((u * dx + v * dy) / max(dx * dx + dy * dy, np.float32(1e-12)), 0.0, 1.0)
        np.minimum(nearest, (u - t * dx) ** 2 + (v - t * dy) ** 2, out=nearest)
        crosses = (v < 0) != (y < by)
        if dy:
            inside ^= crosses & (u < v * (dx / dy))
    distance = np.sqrt(nearest)
    return np.where(inside, distance, -distance)


def flesh(plane: Plane, strokes: Iterable[tuple[Sequence[Point], Sequence[float]]], depth: float) -> np.ndarray:
    """Thickness of soft tissue round limbs.

    Args:
        plane: pixel coordinates.
        strokes: for each limb the points of its axis and the half-widths there.
        depth: distance from the skin at which the tissue is at its thickest.

    Returns:
        (size, size) float32, 0 in air, 1 where it is thickest.
    """
    field = np.full_like(plane.x, -1.0)
    for points, radii in strokes:
        for i in range(len(points) - 1):
            one, _ = _capsule(plane.x, plane.y, (points[i], points[i + 1]), (radii[i], radii[i + 1]))
            np.maximum(field, one, out=field)
    return chord(field, depth)


class Bones:
    """Attenuation of bones, added one by one: round bodies with a dense wall (cortex) about spongy bone.

    Args:
        plane: pixel coordinates.
        density: attenuation of cortex that is two canonical units thick.
        spongy: density of spongy bone and marrow, as a share of the cortex's.

    Attributes:
        total: (size, size) float32, the sum.
    """

    def __init__(self, plane: Plane, density: float, spongy: float = 0.5) -> None:
        self.plane, self.density, self.spongy = plane, density, spongy
        self.total = np.zeros_like(plane.x)

    def _add(
        self,
        box: tuple[slice, slice],
        field: np.ndarray,
        depth: np.ndarray | float,
        wall: np.ndarray | float,
        share: float = 1.0,
    ) -> None:
        depth = np.maximum(depth, np.float32(2e-3))
        wall = np.minimum(wall, depth * np.float32(0.95))
        hollow = chord(field - wall, depth - wall) * (depth - wall)
        way = chord(field, depth) * depth - np.float32(1 - self.spongy) * hollow
        edge = np.clip(field / np.float32(self.plane.pixel) + np.float32(0.5), 0.0, 1.0)
        self.total[box] += (way * edge * np.float32(self.density * share)).astype(np.float32)

    def shaft(
        self,
        start: Point,
        end: Point,
        ends: Point,
        waist: float,
        wall: float = 0.4,
        gap: float = 0.0,
        share: float = 1.0,
    ) -> None:
        """Add a long bone: wide, thin-walled ends and a slender, thick-walled middle.

        Args:
            start, end: middles of its two joint faces.
            ends: half-widths near start and end.
            waist: half-width in the middle.
            wall: thickness of the cortex in the middle, as a share of the half-width.
            gap: depth of a growth plate near its start, from 0 (closed) to 1.
            share: factor of its attenuation.
        """
        a, b = np.array(start), np.array(end)
        length = float(np.hypot(*(b - a)))
        box = self.plane.window(np.stack([a, b]), 1.2 * max(*ends, waist))
        along, across = (b - a) / length, np.array([a[1] - b[1], b[0] - a[0]]) / length
        u, v = self.plane.x[box] - np.float32(a[0]), self.plane.y[box] - np.float32(a[1])
        s = u * np.float32(along[0]) + v * np.float32(along[1])
        off = np.abs(u * np.float32(across[0]) + v * np.float32(across[1]))
        t = np.clip(s / np.float32(length), 0.0, 1.0)
        flare = [np.exp(-((t / 0.2) ** 2)), np.exp(-(((1 - t) / 0.2) ** 2))]
        half = np.float32(waist) + np.float32(ends[0] - waist) * flare[0] + np.float32(ends[1] - waist) * flare[1]
        inset = [min(0.62 * width, 0.4 * length) for width in ends]
        over = np.maximum(np.maximum(np.float32(inset[0]) - s, s - np.float32(length - inset[1])), 0.0)
        over *= np.where(s < length / 2, np.float32(ends[0] / inset[0]), np.float32(ends[1] / inset[1]))  # flat faces
        field = half - np.hypot(off, over)
        middle = 1 - np.maximum(flare[0], flare[1])
        if gap:
            plate = np.exp(-(((s - np.float32(0.9 * ends[0])) / np.float32(0.16 * ends[0])) ** 2))
            field = field - np.float32(gap) * plate * half
        self._add(box, field, half, half * (np.float32(0.1) + np.float32(wall - 0.1) * middle), share)

    def lump(self, centre: Point, radii: Point, turn: float = 0.0, wall: float = 0.14, share: float = 1.0) -> None:
        """Add a short bone or a joint's head: an ellipse.

        Args:
            centre: its middle.
            radii: half-axes.
            turn: rotation in radians, clockwise on the image.
            wall: thickness of the cortex as a share of the shorter half-axis.
            share: factor of its attenuation.
        """
        box = self.plane.window(np.array([centre]), 1.1 * max(radii))
        u, v = self.plane.x[box] - np.float32(centre[0]), self.plane.y[box] - np.float32(centre[1])
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        rho = np.hypot((u * cos + v * sin) / np.float32(radii[0]), (v * cos - u * sin) / np.float32(radii[1]))
        short = min(radii)
        self._add(box, (1 - rho) * np.float32(short), short, wall * short, share)

    def plate(self, points: Sequence[Point], depth: float, wall: float = 0.008, share: float = 1.0) -> None:
        """Add a bone by its contour.

        Args:
            points: corners of the contour, rounded by a spline.
            depth: distance from the outline at which it is at its thickest, and half of its thickness there.
            wall: thickness of the cortex.
            share: factor of its attenuation.
        """
        line = _smooth_closed(points)
        box = self.plane.window(line, 0.01)
        self._add(box, _contour(self.plane.x[box], self.plane.y[box], line), depth, wall, share)

    def stroke(self, points: Sequence[Point], radii: Sequence[float], wall: float = 0.006) -> None:
        """Add a bar of bone along a line.

        Args:
            points: corners of its axis.
            radii: half-widths there.
            wall: thickness of the cortex.
        """
        box = self.plane.window(np.array(points), 1.1 * max(radii))
        x, y = self.plane.x[box], self.plane.y[box]
        field, depth = np.full_like(x, -1.0), np.full_like(x, float(np.mean(radii)))
        for i in range(len(points) - 1):
            piece, half = _capsule(x, y, (points[i], points[i + 1]), (radii[i], radii[i + 1]))
            depth = np.where(piece > field, half, depth)
            np.maximum(field, piece, out=field)
        self._add(box, field, depth, wall)

    def textured(self, rng: np.random.Generator, strength: float = 0.06) -> np.ndarray:
        """The sum with the grain of spongy bone; (size, size) float32.

        Args:
            rng: source of the grain.
            strength: its standard deviation.
        """
        grain = self.plane.noise(rng, 100) * np.float32(strength) + self.plane.noise(rng, 18) * np.float32(strength / 3)
        result: np.ndarray = self.total * (1 + grain)
        return result
