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

"""The visible window of a view, from which its hidden surroundings are to be told."""

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
    "RandContextWindow",
    "RandContextWindowD",
    "RandContextWindowDict",
    "RandContextWindowd",
    "context_window",
    "window_mask",
]


def context_window(view: Tensor, offset: Tensor, cell: int, window: int) -> Tensor:
    """Crop the visible window of each view (Lamps, arXiv 2512.22872: extrapolation).

    Encoding this crop equals encoding the whole view with its hidden tokens dropped, so no masked encoder is needed.

    Args:
        view: (B, C, g*cell, ...).
        offset: (B, n) int64, first visible cell along each axis, in ``[0, g - window]`` (checked only on the CPU).
        cell: side of a cell, px.
        window: side of the window, cells.

    Returns:
        (B, C, window*cell, ...).

    Raises:
        TypeError: when the offsets are not integers.
        ValueError: when a side is no multiple of the cell or a window leaves the view.
    """
    if offset.ndim != 2:
        raise ValueError(f"offset must be (B, n), got {tuple(offset.shape)}.")
    return crop_cells(view, offset[:, None], cell, window)[:, 0]


def window_mask(offset: Tensor, grid: int, window: int) -> Tensor:
    """Which cells of each view are visible.

    Args:
        offset: (B, n) int64, first visible cell along each axis.
        grid: side of a view, cells.
        window: side of the window, cells.

    Returns:
        (B, grid**n) bool in row-major order, True = visible; window**n of them (published: 121 of 196).

    Raises:
        TypeError: when the offsets are not integers.
        ValueError: when a window leaves the view.
    """
    if offset.ndim != 2:
        raise ValueError(f"offset must be (B, n), got {tuple(offset.shape)}.")
    if window < 1:
        raise ValueError(f"window must be at least one cell, got {window}.")
    n = offset.shape[1]
    check_offset(offset, [grid - window] * n)
    along = torch.arange(grid, device=offset.device)
    inside = (along >= offset[..., None]) & (along < offset[..., None] + window)  # (B, n, grid)
    mask = inside[:, 0]
    for axis in range(1, n):
        mask = (mask[:, :, None] & inside[:, axis, None, :]).flatten(1)
    return mask


class RandContextWindow(Randomizable, Transform):
    """Draw the visible window of a view and cut it out.

    Args:
        cell: side of a cell, px.
        grid: side of a view, cells.
        window: side of the window, cells.

    Attributes:
        offset: (n,) int64, the last offset drawn, cells.
        mask: (grid**n,) bool in row-major order, True = visible.

    Raises:
        ValueError: when the window does not fit into the view.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, cell: int, grid: int = 14, window: int = 11) -> None:
        self.cell = check_cell(cell)
        if not 1 <= window <= grid:
            raise ValueError(f"expected 1 <= window <= grid cells, got window={window}, grid={grid}.")
        self.grid, self.window = grid, window
        self.offset: Tensor | None = None
        self.mask: Tensor | None = None

    def randomize(self, data: int = 2) -> None:
        """Draw the offset for ``data`` spatial axes."""
        self.offset = torch.as_tensor(self.R.randint(0, self.grid - self.window + 1, size=data), dtype=torch.int64)
        self.mask = window_mask(self.offset[None], self.grid, self.window)[0]

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> Tensor:
        """Cut the window.

        Args:
            img: (C, grid*cell, ...), 2-D or 3-D.
            randomize: draw a new offset; False uses the last one again.

        Returns:
            (C, window*cell, ...) float32.

        Raises:
            ValueError: when the image is not a view of the size that was set.
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        data = as_image(img)
        side = self.grid * self.cell
        if any(length != side for length in data.shape[1:]):
            raise ValueError(
                f"the view must be {side} px along each axis ({self.grid} cells of {self.cell} px), got "
                f"{tuple(data.shape[1:])}; cut it with RandGridViews of the same cell."
            )
        if randomize:
            self.randomize(data.ndim - 1)
        if self.offset is None:
            raise RuntimeError("no offset has been drawn yet; call randomize(spatial_dims) before randomize=False.")
        return context_window(data[None], self.offset[None], self.cell, self.window)[0]


class RandContextWindowd(Randomizable, MapTransform):
    """Dictionary form of :py:class:`RandContextWindow`: the same window of every key.

    Writes ``{key}_{postfix}`` for each key, and the offset and the mask once; the views stay.

    Args:
        keys: views to cut.
        cell, grid, window: see :py:class:`RandContextWindow`.
        postfix: after the key.
        offset_key: key that the offset, (n,) int64, is written to.
        mask_key: key that the mask, (grid**n,) bool, is written to.
        allow_missing_keys: skip keys that are absent.
    """

    backend = RandContextWindow.backend

    def __init__(
        self,
        keys: KeysCollection,
        cell: int,
        grid: int = 14,
        window: int = 11,
        postfix: str = "window",
        offset_key: str = "window_offset",
        mask_key: str = "window_mask",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.window = RandContextWindow(cell, grid, window)
        self.postfix, self.offset_key, self.mask_key = postfix, offset_key, mask_key

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandContextWindowd:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.window.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the window of each key's view (C, grid*cell, ...), its offset and its mask."""
        d = dict(data)
        for number, key in enumerate(self.key_iterator(d)):
            d[f"{key}_{self.postfix}"] = self.window(d[key], randomize=number == 0)
            assert self.window.offset is not None
            assert self.window.mask is not None
            d[self.offset_key], d[self.mask_key] = self.window.offset, self.window.mask
        return d


RandContextWindowD = RandContextWindowDict = RandContextWindowd
