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
"""Affine and elastic deformation of an image together with the exact map of its points, both ways."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms import MapTransform, Randomizable, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor, ensure_tuple_rep
from torch import Tensor

from monai_lamps.transforms.elastic import REACH, SPACING, add_smooth_noise, lattice_shape, lattice_weights
from monai_lamps.transforms.resample import as_image

__all__ = ["KnownWarp", "RandKnownWarp", "RandKnownWarpD", "RandKnownWarpDict", "RandKnownWarpd"]

MODES = ("bilinear", "nearest")
_STEEPEST = 1 / 7  # of bend to smoothness: the field's slope then has a deviation of 0.1, and no two points meet
_CLOSE = 1e-6  # px, how exactly a point is carried forward
_ROUNDS = 200


@dataclass(frozen=True)
class KnownWarp:
    """A deformation of images of one shape that knows where every point goes.

    Pixel ``q`` of the warped image shows the point ``c + (q - c) @ matrix + offset + u(q)`` of the source, where c is
    the image's centre and u a smooth field: white noise on a coarse lattice, each node of which carries a Gaussian (see
    :func:`~monai_lamps.transforms.elastic.add_smooth_noise`). The formula holds between pixels as well, so points are
    mapped without any interpolation. Points are (row, column[, slice]) px; pixel centres have whole numbers.

    Args:
        shape: sides of the image, px, 2-D or 3-D.
        matrix: (n, n), float64.
        offset: (n,), px, float64.
        noise: (n, *lattice), px, float64: displacement along each axis at each node of the lattice.
        sigma: of the nodes' Gaussians, px.
    """

    shape: tuple[int, ...]
    matrix: Tensor
    offset: Tensor
    noise: Tensor
    sigma: float

    def to_source(self, points: Tensor) -> Tensor:
        """Where the points of the warped image come from, exactly.

        Args:
            points: (N, n), px of the warped image.

        Returns:
            (N, n) float64, px of the source; may lie outside it.

        Raises:
            ValueError: when the points are not (N, n).
        """
        q = self._checked(points)
        field = self.noise.movedim(0, -1)
        for axis in range(len(self.shape)):
            weight = self._weight(q[:, axis], self.noise.shape[axis + 1])
            # the first axis meets all points at once, the others point by point
            field = torch.einsum("na,a...->n..." if axis == 0 else "na,na...->n...", weight, field)
        return (q - self._centre) @ self.matrix + self._centre + self.offset + field

    def to_warped(self, points: Tensor) -> Tensor:
        """Where the points of the source go, within a millionth of a pixel.

        Args:
            points: (N, n), px of the source; a point with NaN stays NaN.

        Returns:
            (N, n) float64, px of the warped image; may lie outside it.

        Raises:
            ValueError: when the points are not (N, n).
            RuntimeError: when the warp folds, so that a point has no single place.
        """
        p, back = self._checked(points), torch.linalg.inv(self.matrix)
        q: Tensor = (p - self._centre - self.offset) @ back + self._centre
        for _ in range(_ROUNDS):
            lacking = p - self.to_source(q)
            if not (lacking.abs() > _CLOSE).any():
                return q
            q = q + lacking @ back
        raise RuntimeError(
            f"a point still lies {float(lacking.nan_to_num().abs().max()):.3g} px off after {_ROUNDS} rounds: the warp "
            "folds; use a smaller noise or a larger sigma."
        )

    def apply(self, img: Tensor, mode: str = "bilinear") -> Tensor:
        """Warp an image. Beyond the source its border's values go on: no anatomy is shown twice.

        Args:
            img: (C, *shape), float.
            mode: "bilinear" (linear, in 3-D too) or (label maps) "nearest".

        Returns:
            (C, *shape), of the dtype of ``img``.

        Raises:
            ValueError: when the image has another shape or ``mode`` is unknown.
        """
        if tuple(img.shape[1:]) != self.shape:
            raise ValueError(f"this warp is one of images (C, {self.shape}), got {tuple(img.shape)}; draw another.")
        if mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, got {mode!r}.")
        unit = torch.tensor([2 / max(side - 1, 1) for side in self.shape], dtype=torch.float64)
        grid = ((self._source_grid() - self._centre) * unit).flip(-1).to(img)
        return F.grid_sample(img[None], grid[None], mode=mode, padding_mode="border", align_corners=True)[0]

    @property
    def _centre(self) -> Tensor:
        return torch.tensor([(side - 1) / 2 for side in self.shape], dtype=torch.float64)

    def _checked(self, points: Tensor) -> Tensor:
        n = len(self.shape)
        if points.ndim != 2 or points.shape[1] != n:
            raise ValueError(f"points must be (N, {n}) px for an image of {self.shape}, got {tuple(points.shape)}.")
        return points.to(self.matrix)

    def _source_grid(self) -> Tensor:
        """:meth:`to_source` of every pixel, (*shape, n), by one small matrix product an axis."""
        axes = [torch.arange(side, dtype=torch.float64) for side in self.shape]
        q = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        field = ((q - self._centre) @ self.matrix + self._centre + self.offset)[None].contiguous()
        return add_smooth_noise(field, self.noise[None], lattice_weights(self.shape, self.sigma, self.noise))[0]

    def _weight(self, coordinate: Tensor, nodes: int) -> Tensor:
        """What each node of an axis contributes at each coordinate, (N, nodes), also between and beyond pixels."""
        node = (torch.arange(nodes, dtype=torch.float64) * SPACING - REACH) * self.sigma
        return F.normalize(torch.exp(-((coordinate[:, None] - node) ** 2) / (2 * self.sigma**2)), dim=1)


class RandKnownWarp(Randomizable, Transform):
    """Turn, scale, shift and bend an image at random, and know where every point went.

    The exact ground truth for the evaluation of dense features: of the source and the warped image it is known, at any
    point, which places show the same anatomy. The defaults are about the differences between two well-taken radiographs
    of one patient, and a little more.

    Args:
        rotation: largest angle, radians (in 3-D of the turn in each plane).
        scaling: the size changes by a factor from 1 / (1 + scaling) to 1 + scaling, along each axis for itself.
        translation: largest shift along each axis, share of the shorter side.
        bend: standard deviation of the elastic displacement along each axis, share of the shorter side.
        smoothness: of the elastic field (sigma of its Gaussians), share of the shorter side; at least 7 times ``bend``,
            which rules out folds.

    Attributes:
        drawn: the :class:`KnownWarp` drawn last.

    Raises:
        ValueError: when a range is negative, or ``smoothness`` too small.
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        rotation: float = 0.2,
        scaling: float = 0.15,
        translation: float = 0.05,
        bend: float = 0.015,
        smoothness: float = 0.15,
    ) -> None:
        ranges = {"rotation": rotation, "scaling": scaling, "translation": translation, "bend": bend}
        for name, value in ranges.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0, got {value}; 0 switches it off.")
        if not 0 < smoothness < math.inf or bend > smoothness * _STEEPEST:
            raise ValueError(
                f"smoothness must be above 0 and at least 7 times bend ({bend}), lest the image folds, got "
                f"{smoothness}; e.g. {max(0.15, 7 * bend):.3g}."
            )
        self.rotation, self.scaling, self.translation = rotation, scaling, translation
        self.bend, self.smoothness = bend, smoothness
        self.drawn: KnownWarp | None = None

    def randomize(self, data: Sequence[int]) -> None:
        """Draw a warp of images of this shape.

        Args:
            data: sides of the image, px, 2-D or 3-D.
        """
        shape, n, side = tuple(int(s) for s in data), len(data), min(data)
        turn = torch.zeros(n, n, dtype=torch.float64)
        for i in range(n):
            for j in range(i + 1, n):
                turn[i, j] = float(self.R.uniform(-self.rotation, self.rotation))
        factor = np.exp(self.R.uniform(-1, 1, n) * math.log1p(self.scaling))
        matrix = torch.linalg.matrix_exp(turn - turn.T) * torch.from_numpy(factor)
        offset = torch.from_numpy(self.R.uniform(-1, 1, n) * self.translation * side)
        sigma = self.smoothness * side
        # bounded noise of unit variance, and with it bounded slopes
        noise = self.R.uniform(-1, 1, (n, *lattice_shape(shape, sigma))) * (math.sqrt(3) * self.bend * side)
        self.drawn = KnownWarp(shape, matrix, offset, torch.from_numpy(noise), sigma)

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True, mode: str = "bilinear") -> Tensor:
        """Warp one image.

        Args:
            img: (C, *spatial), 2-D or 3-D.
            randomize: draw anew; False repeats the last draw.
            mode: "bilinear" or (label maps) "nearest".

        Returns:
            A float32 tensor of the same shape (a MetaTensor if the image is one and tracking is on).

        Raises:
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
            ValueError: when the image has another shape than the warp that was drawn.
        """
        plain = as_image(img)
        if randomize:
            self.randomize(plain.shape[1:])
        if self.drawn is None:
            raise RuntimeError("no warp has been drawn yet; call randomize(shape) before randomize=False.")
        out: Tensor = convert_to_tensor(img, dtype=torch.float32, track_meta=get_track_meta())
        warped: Tensor = convert_to_dst_type(self.drawn.apply(plain, mode), out)[0]
        return warped


class RandKnownWarpd(Randomizable, MapTransform):
    """Dictionary form of :class:`RandKnownWarp`: images, masks and points of one patient, all warped alike.

    To keep the source, copy it first (``CopyItemsd``): the two images and the two sets of points are then a pair with
    known correspondence.

    Args:
        keys: images and masks (C, *spatial) of one shape.
        mode: "bilinear" or "nearest", one for all or one for each key.
        points_keys: entries with points (N, n), px of the source, which become float64 px of the warped image.
        allow_missing_keys: skip keys that are absent.
        options: see :class:`RandKnownWarp`.
    """

    backend = RandKnownWarp.backend

    def __init__(
        self,
        keys: KeysCollection,
        mode: str | Sequence[str] = "bilinear",
        points_keys: Sequence[Hashable] = (),
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.modes = ensure_tuple_rep(mode, len(self.keys))
        self.points_keys = tuple(points_keys)
        self.warp = RandKnownWarp(**options)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandKnownWarpd:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.warp.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Warp each key's image and carry the points.

        Raises:
            ValueError: when the images differ in shape.
        """
        d = dict(data)
        first = self.first_key(d)
        if first == ():  # none of the keys is there
            return d
        self.warp.randomize(d[first].shape[1:])
        for key, mode in self.key_iterator(d, self.modes):
            d[key] = self.warp(d[key], randomize=False, mode=mode)
        drawn = self.warp.drawn
        for name in self.points_keys:
            if drawn is not None and (name in d or not self.allow_missing_keys):
                d[name] = drawn.to_warped(torch.as_tensor(d[name]))
        return d


RandKnownWarpD = RandKnownWarpDict = RandKnownWarpd
