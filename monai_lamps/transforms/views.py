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

"""Views of a region on one cell lattice, and which of their cells show the same anatomy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Randomizable, Transform
from monai.utils import TransformBackends
from torch import Tensor

from monai_lamps.transforms.cells import check_cell, check_offset, crop_cells
from monai_lamps.transforms.resample import as_image

__all__ = [
    "RandGridViews",
    "RandGridViewsD",
    "RandGridViewsDict",
    "RandGridViewsd",
    "grid_views",
    "overlap_index",
]


def grid_views(region: Tensor, offset: Tensor, cell: int, view: int) -> Tensor:
    """Cut views out of a batch of regions: exact slices on the cell lattice (Lamps, arXiv 2512.22872, data pipeline).

    Args:
        region: (B, C, R*cell, ...), any number of spatial axes.
        offset: (B, V, n) int64, first cell of each of the V views along each axis, in ``[0, R - view]``. The range is
            checked only if ``offset`` is on the CPU.
        cell: side of a cell, px.
        view: side of a view, cells.

    Returns:
        (B, V, C, view*cell, ...).

    Raises:
        TypeError: when the offsets are not integers.
        ValueError: when a side is no multiple of the cell or a view leaves the region.
    """
    return crop_cells(region, offset, cell, view)


def overlap_index(offset_a: Tensor, offset_b: Tensor, grid: int) -> Tensor:
    """For each cell of view a, the cell of view b that shows the same place of the region.

    The released code swaps the axes of its overlap helper (only 85 of 625 offset pairs are right); here the first
    number of an offset is the row, as everywhere else.

    Args:
        offset_a: (B, n) int64, cells.
        offset_b: (B, n) int64, cells, on the same device.
        grid: side of a view, cells.

    Returns:
        (B, grid**n) int64: index into the row-major cells of view b, or -1 where view b does not show the cell.

    Raises:
        ValueError: when the offsets are not two (B, n) tensors of one shape, or the grid is empty.
    """
    if offset_a.ndim != 2 or offset_a.shape != offset_b.shape:
        raise ValueError(
            f"both offsets must be (B, n) of one shape, got {tuple(offset_a.shape)} and {tuple(offset_b.shape)}."
        )
    if grid < 1:
        raise ValueError(f"grid must be at least one cell, got {grid}.")
    n = offset_a.shape[1]
    along = torch.arange(grid, device=offset_a.device)
    cells = torch.cartesian_prod(*[along] * n).view(-1, n)  # (N, n), row-major
    in_b = cells + (offset_a - offset_b)[:, None, :]  # (B, N, n)
    index = in_b[..., 0]
    for axis in range(1, n):
        index = index * grid + in_b[..., axis]
    return torch.where(((in_b >= 0) & (in_b < grid)).all(-1), index, -1)


class RandGridViews(Randomizable, Transform):
    """Draw ``views`` views of a region at independent offsets of whole cells, and cut them out.

    Args:
        cell: side of a cell, px.
        region: side of the region, cells.
        view: side of a view, cells.
        views: number of views.

    Attributes:
        offset: (views, n) int64, the last offsets drawn, cells.

    Raises:
        ValueError: when a view does not fit into the region.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, cell: int, region: int = 18, view: int = 14, views: int = 2) -> None:
        self.cell = check_cell(cell)
        if not 1 <= view <= region or views < 1:
            raise ValueError(
                f"expected 1 <= view <= region cells and at least one view, got view={view}, region={region}, "
                f"views={views}."
            )
        self.region, self.view, self.views = region, view, views
        self.offset: Tensor | None = None

    def randomize(self, data: int = 2) -> None:
        """Draw the offsets for ``data`` spatial axes."""
        drawn = self.R.randint(0, self.region - self.view + 1, size=(self.views, data))
        self.offset = torch.as_tensor(drawn, dtype=torch.int64)

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> list[Tensor]:
        """Cut the views.

        Args:
            img: (C, region*cell, ...), 2-D or 3-D.
            randomize: draw new offsets; False uses the last ones again.

        Returns:
            ``views`` tensors (C, view*cell, ...) float32, each with its own memory.

        Raises:
            ValueError: when the image is not a region of the size that was set.
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        data = as_image(img)
        side = self.region * self.cell
        if any(length != side for length in data.shape[1:]):
            raise ValueError(
                f"the region must be {side} px along each axis ({self.region} cells of {self.cell} px), got "
                f"{tuple(data.shape[1:])}; put RandGridRegion with the same cell and region before this."
            )
        if randomize:
            self.randomize(data.ndim - 1)
        if self.offset is None:
            raise RuntimeError("no offset has been drawn yet; call randomize(spatial_dims) before randomize=False.")
        check_offset(self.offset, [self.region - self.view] * (data.ndim - 1))
        return list(crop_cells(data[None], self.offset[None], self.cell, self.view)[0].unbind(0))


class RandGridViewsd(Randomizable, MapTransform):
    """Dictionary form of :py:class:`RandGridViews`: the same views of every key.

    Writes ``{key}_{postfix}0``, ``{key}_{postfix}1``, ... for each key and the offsets, (views, n) int64, once; the
    region itself stays.

    Args:
        keys: regions to cut.
        cell, region, view, views: see :py:class:`RandGridViews`.
        postfix: between the key and the number of the view.
        offset_key: key that the offsets are written to.
        allow_missing_keys: skip keys that are absent.
    """

    backend = RandGridViews.backend

    def __init__(
        self,
        keys: KeysCollection,
        cell: int,
        region: int = 18,
        view: int = 14,
        views: int = 2,
        postfix: str = "view",
        offset_key: str = "view_offset",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.views = RandGridViews(cell, region, view, views)
        self.postfix, self.offset_key = postfix, offset_key

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandGridViewsd:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.views.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the views of each key's region (C, region*cell, ...), and their offsets."""
        d = dict(data)
        for number, key in enumerate(self.key_iterator(d)):
            for i, view in enumerate(self.views(d[key], randomize=number == 0)):
                d[f"{key}_{self.postfix}{i}"] = view
            assert self.views.offset is not None
            d[self.offset_key] = self.views.offset
        return d


RandGridViewsD = RandGridViewsDict = RandGridViewsd
