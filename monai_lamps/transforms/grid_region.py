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

"""The region of a radiograph that all views are cut from: one box, one interpolation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, ensure_tuple_rep
from torch import Tensor

from monai_lamps.transforms.cells import check_cell
from monai_lamps.transforms.resample import Box, as_image, check_mode, resample_box
from monai_lamps.transforms.reseeded import Reseeded

__all__ = [
    "GridRegion",
    "GridRegionD",
    "GridRegionDict",
    "GridRegiond",
    "RandGridRegion",
    "RandGridRegionD",
    "RandGridRegionDict",
    "RandGridRegiond",
]

TRIES = 10  # draws of a box before the centre is taken, as RandomResizedCrop is commonly defined


class _Region(Transform):
    """Checks and resampling that the random and the deterministic region share."""

    backend = [TransformBackends.TORCH]

    def __init__(self, cell: int, region: int, margin: int, mode: str) -> None:
        self.cell = check_cell(cell)
        if region < 1 or margin < 0:
            raise ValueError(f"region must be >= 1 and margin >= 0 cells, got region={region}, margin={margin}.")
        self.region, self.margin, self.mode = region, margin, check_mode(mode)
        self.box: Box | None = None

    def _apply(self, img: Tensor, mode: str | None) -> Tensor:
        if self.box is None:
            raise RuntimeError("no box has been drawn yet; call randomize(spatial_shape) before randomize=False.")
        if len(self.box) != img.ndim - 1:
            raise ValueError(f"the box has {len(self.box)} axes but the image is {tuple(img.shape)}; draw a new box.")
        return resample_box(img, self.box, self.region * self.cell, self.mode if mode is None else check_mode(mode))


class RandGridRegion(Reseeded, _Region):
    """Draw the region of ``region`` cells that the views are cut from (Lamps, arXiv 2512.22872, data pipeline).

    The published recipe is: crop a random box (``area`` share, ``aspect`` ratio) and squash it to a square; shrink
    that to ``region + margin`` cells; cut ``region`` cells out of it at a random offset of single *pixels*, so that the
    cell lattice has no constant place. This class computes where the final region lies in the source and resamples
    once. Deviations: one antialiased interpolation instead of two and a crop, and edges rounded to whole source pixels.

    In n-D the box has the drawn share of the volume and each further axis has its own log-uniform ratio to axis 0.
    If no box fits in 10 draws (elongated images), the largest centred box whose ratios are allowed is taken.
    An image smaller than the region is enlarged.

    Args:
        cell: side of a cell, px.
        region: side of the region, cells.
        margin: cells around the region that are given to the pixel jitter; the offset is drawn from
            ``[0, margin*cell - 1]`` px along each axis (0 switches the jitter off).
        area: smallest and largest share of the image's area (volume) in the box, in (0, 1].
        aspect: smallest and largest ratio of a further axis to axis 0 (2-D: width / height, px), > 0.
        mode: "bicubic" (published), "bilinear" or "nearest-exact" (label maps).

    Attributes:
        box: edges of the region along each axis in px of the last image, not yet rounded.
        jitter: pixel offset of each axis, px of the output.

    Raises:
        ValueError: for an impossible size, share, ratio or mode.
    """

    def __init__(
        self,
        cell: int,
        region: int = 18,
        margin: int = 1,
        area: tuple[float, float] = (0.85, 1.0),
        aspect: tuple[float, float] = (3 / 4, 4 / 3),
        mode: str = "bicubic",
    ) -> None:
        super().__init__(cell, region, margin, mode)
        if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            raise ValueError(f"area must be (low, high) with 0 < low <= high <= 1, got {area}.")
        if len(aspect) != 2 or not 0 < aspect[0] <= aspect[1]:
            raise ValueError(f"aspect must be (low, high) with 0 < low <= high, got {aspect}.")
        self.area, self.aspect = tuple(area), tuple(aspect)
        self.jitter: tuple[int, ...] = ()

    def randomize(self, data: Sequence[int]) -> None:
        """Draw a new box for an image of spatial shape ``data`` (px)."""
        shape = tuple(int(side) for side in data)
        starts, sides = self._draw_box(shape)
        self.jitter = tuple(int(j) for j in self.R.randint(0, max(self.margin * self.cell, 1), size=len(shape)))
        total = (self.region + self.margin) * self.cell
        self.box = tuple(
            (start + side * j / total, start + side * (j + self.region * self.cell) / total)
            for start, side, j in zip(starts, sides, self.jitter, strict=True)
        )

    def _draw_box(self, shape: tuple[int, ...]) -> tuple[list[float], list[float]]:
        n, volume, (low, high) = len(shape), float(np.prod(shape)), np.log(self.aspect)
        for _ in range(TRIES):
            share = self.R.uniform(self.area[0], self.area[1])
            ratio = np.concatenate([[0.0], self.R.uniform(low, high, size=n - 1)])
            sides = np.rint((share * volume) ** (1 / n) * np.exp(ratio - ratio.mean()))
            if (sides >= 1).all() and (sides <= shape).all():
                spare = [int(full - side) for full, side in zip(shape, sides, strict=True)]
                return [float(self.R.randint(0, most + 1)) for most in spare], [float(side) for side in sides]
        first = min([float(shape[0]), *(side / self.aspect[0] for side in shape[1:])])
        fit = [first, *(min(float(side), first * self.aspect[1]) for side in shape[1:])]
        return [(full - side) / 2 for full, side in zip(shape, fit, strict=True)], fit

    def __call__(self, img: NdarrayOrTensor, mode: str | None = None, randomize: bool = True) -> Tensor:
        """Resample the region out of one image.

        Args:
            img: (C, *spatial), 2-D or 3-D.
            mode: interpolation for this call, default that of the object.
            randomize: draw a new box; False uses the last one again.

        Returns:
            (C, region*cell, ...) float32 plain tensor (a source affine would not describe it).
        """
        data = as_image(img)
        if randomize:
            self.randomize(data.shape[1:])
        return self._apply(data, mode)


class GridRegion(_Region):
    """The deterministic sibling of :py:class:`RandGridRegion`, for validation and inference.

    The box is the centred square (cube) over the whole short side; of it the central ``region / (region + margin)``
    is kept, so that an anatomical structure has about the same size in px as in training (there it is 5 % larger on
    average, as a training box holds 85 to 100 % of the area). No distortion, no jitter.
    With ``margin=0`` the whole short side is kept.

    Args:
        cell: side of a cell, px.
        region: side of the region, cells (use the size of a view to embed whole images).
        margin: cells by which the box is larger than the region.
        mode: "bicubic", "bilinear" or "nearest-exact".

    Attributes:
        box: edges of the region along each axis in px of the last image, not yet rounded.
    """

    def __init__(self, cell: int, region: int = 18, margin: int = 1, mode: str = "bicubic") -> None:
        super().__init__(cell, region, margin, mode)

    def __call__(self, img: NdarrayOrTensor, mode: str | None = None) -> Tensor:
        """Resample the central region of (C, *spatial) to (C, region*cell, ...) float32."""
        data = as_image(img)
        shape = data.shape[1:]
        half = min(shape) * self.region / (self.region + self.margin) / 2
        self.box = tuple((side / 2 - half, side / 2 + half) for side in shape)
        return self._apply(data, mode)


class _RegionMap(MapTransform):
    """One region for all keys: images of one size in, regions of one place out."""

    def __init__(self, keys: KeysCollection, mode: str | Sequence[str], allow_missing_keys: bool) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.mode = tuple(check_mode(m) for m in ensure_tuple_rep(mode, len(self.keys)))

    def _images(self, data: Mapping[Hashable, NdarrayOrTensor]) -> list[tuple[Hashable, str, Tensor]]:
        images = [(key, mode, as_image(data[key])) for key, mode in self.key_iterator(data, self.mode)]
        shapes = {key: tuple(img.shape[1:]) for key, _, img in images}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"all keys must have one spatial shape to share a region, got {shapes}; resample first.")
        return images


class RandGridRegiond(Reseeded, _RegionMap):
    """Dictionary form of :py:class:`RandGridRegion`: the same region of every key.

    Args:
        keys: images to replace by their region; all of one spatial shape.
        cell, region, margin, area, aspect: see :py:class:`RandGridRegion`.
        mode: interpolation, one for all keys or one per key ("nearest-exact" for label maps).
        allow_missing_keys: skip keys that are absent.

    Raises:
        ValueError: when the keys differ in spatial shape.
    """

    backend = RandGridRegion.backend

    def __init__(
        self,
        keys: KeysCollection,
        cell: int,
        region: int = 18,
        margin: int = 1,
        area: tuple[float, float] = (0.85, 1.0),
        aspect: tuple[float, float] = (3 / 4, 4 / 3),
        mode: str | Sequence[str] = "bicubic",
        allow_missing_keys: bool = False,
    ) -> None:
        _RegionMap.__init__(self, keys, mode, allow_missing_keys)
        self.region = RandGridRegion(cell, region, margin, area, aspect)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandGridRegiond:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.region.set_random_state(state=self.R)  # only one of them draws, and seeding costs time
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Replace each key's image (C, *spatial) by the shared region (C, region*cell, ...)."""
        d = dict(data)
        images = self._images(d)
        if images:
            self.region.randomize(images[0][2].shape[1:])
        for key, mode, img in images:
            d[key] = self.region(img, mode=mode, randomize=False)
        return d


class GridRegiond(_RegionMap):
    """Dictionary form of :py:class:`GridRegion`.

    Args:
        keys: images to replace by their region; all of one spatial shape.
        cell, region, margin: see :py:class:`GridRegion`.
        mode: interpolation, one for all keys or one per key.
        allow_missing_keys: skip keys that are absent.

    Raises:
        ValueError: when the keys differ in spatial shape.
    """

    backend = GridRegion.backend

    def __init__(
        self,
        keys: KeysCollection,
        cell: int,
        region: int = 18,
        margin: int = 1,
        mode: str | Sequence[str] = "bicubic",
        allow_missing_keys: bool = False,
    ) -> None:
        _RegionMap.__init__(self, keys, mode, allow_missing_keys)
        self.region = GridRegion(cell, region, margin)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Replace each key's image (C, *spatial) by its central region (C, region*cell, ...)."""
        d = dict(data)
        for key, mode, img in self._images(d):
            d[key] = self.region(img, mode=mode)
        return d


RandGridRegionD = RandGridRegionDict = RandGridRegiond
GridRegionD = GridRegionDict = GridRegiond
