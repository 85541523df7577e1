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

"""The cell lattice: every length of the Lamps geometry is a whole number of cells of ``cell`` pixels.

A cell is the patch that one coarse token of the encoder covers. Cells are counted in C order (the last axis runs
fastest), offsets are integers in cells in the order of the spatial axes (row, column, ...).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["check_cell", "check_offset", "crop_cells", "grid_of", "join_cells", "split_cells"]


def check_cell(cell: int) -> int:
    """Return ``cell`` (px) as an int, after checking that it is a positive whole number.

    Raises:
        ValueError: when it is not.
    """
    if int(cell) != cell or cell < 1:
        raise ValueError(f"cell must be a positive whole number of px (the encoder's coarsest stride), got {cell!r}.")
    return int(cell)


def grid_of(spatial_shape: Sequence[int], cell: int) -> tuple[int, ...]:
    """Number of cells along each axis of an image of ``spatial_shape`` (px).

    Raises:
        ValueError: when a side is not a positive multiple of ``cell``.
    """
    cell = check_cell(cell)
    if not spatial_shape or any(side < cell or side % cell for side in spatial_shape):
        raise ValueError(
            f"each side of {tuple(spatial_shape)} must be a positive multiple of cell={cell} px; "
            "resize or crop the image first (GridRegion does) or choose the encoder's own cell."
        )
    return tuple(int(side) // cell for side in spatial_shape)


def check_offset(offset: Tensor, high: Sequence[int]) -> None:
    """Check that integer offsets lie in ``[0, high_k]`` along each axis k.

    The range is looked at only when ``offset`` is on the CPU: on an accelerator it would make the host wait.

    Args:
        offset: (..., n) integer tensor, cells.
        high: largest allowed offset of each axis, inclusive.

    Raises:
        TypeError: when the offsets are not integers.
        ValueError: when their last axis or their range is wrong.
    """
    if offset.dtype.is_floating_point or offset.dtype.is_complex or offset.dtype == torch.bool:
        raise TypeError(f"offset must be an integer tensor (cells), got {offset.dtype}.")
    if offset.shape[-1] != len(high):
        raise ValueError(f"offset must have {len(high)} numbers, one per axis, got {tuple(offset.shape)}.")
    if min(high) < 0:
        raise ValueError(f"the crop is larger than the grid it is cut from by {-min(high)} cells; make it smaller.")
    if offset.device.type == "cpu" and offset.numel():
        limit = torch.as_tensor(high, dtype=offset.dtype)
        if bool((offset < 0).any()) or bool((offset > limit).any()):
            raise ValueError(
                f"offset must lie in [0, {tuple(high)}] cells, got {int(offset.min())} to {int(offset.max())}."
            )


def split_cells(x: Tensor, cell: int) -> Tensor:
    """Cut a batch into its cells.

    Args:
        x: (B, C, *spatial), each side a multiple of ``cell``.
        cell: side of a cell, px.

    Returns:
        (B, N, C, cell, ...) with the N cells in C order.
    """
    grid, n = grid_of(x.shape[2:], cell), x.ndim - 2
    parts = x.reshape(*x.shape[:2], *(side for g in grid for side in (g, cell)))
    order = [0, *range(2, 2 + 2 * n, 2), 1, *range(3, 3 + 2 * n, 2)]
    return parts.permute(order).flatten(1, n)


def join_cells(cells: Tensor, grid: Sequence[int]) -> Tensor:
    """Put cells together again, the inverse of :py:func:`split_cells`.

    Args:
        cells: (B, N, C, cell, ...) in C order.
        grid: number of cells along each axis; their product is N.

    Returns:
        (B, C, *spatial).

    Raises:
        ValueError: when ``grid`` does not hold N cells.
    """
    grid, n = tuple(grid), cells.ndim - 3
    if len(grid) != n or cells.shape[1] != torch.Size(grid).numel():
        raise ValueError(f"{cells.shape[1]} cells of {n} dimensions do not fill a grid of {grid}.")
    parts = cells.reshape(cells.shape[0], *grid, *cells.shape[2:])
    order = [0, 1 + n, *(axis for k in range(n) for axis in (1 + k, 2 + n + k))]
    return parts.permute(order).reshape(
        cells.shape[0], cells.shape[2], *(g * c for g, c in zip(grid, cells.shape[3:], strict=True))
    )


def crop_cells(x: Tensor, offset: Tensor, cell: int, size: int) -> Tensor:
    """Cut crops of ``size`` cells a side out of each sample; no interpolation, pixels are copied.

    With ``offset`` on the CPU the crops are plain slices (fastest on a CPU); with ``offset`` on an accelerator they
    are one gather, so that the host never waits for the numbers.

    Args:
        x: (B, C, *spatial), each side a multiple of ``cell``.
        offset: (B, V, n) integer, cells, first cell of each of V crops along each axis.
        cell: side of a cell, px.
        size: side of a crop, cells.

    Returns:
        (B, V, C, size*cell, ...).

    Raises:
        TypeError: when the offsets are not integers.
        ValueError: when a side is no multiple of the cell, or an offset lets a crop leave the image.
    """
    grid, n = grid_of(x.shape[2:], cell), x.ndim - 2
    if offset.ndim != 3 or offset.shape[0] != x.shape[0]:
        raise ValueError(f"offset must be (B={x.shape[0]}, V, n={n}), got {tuple(offset.shape)}.")
    if size < 1:
        raise ValueError(f"a crop must be at least one cell wide, got {size}.")
    check_offset(offset, [g - size for g in grid])
    return _slice_cells(x, offset, cell, size) if offset.device.type == "cpu" else _gather_cells(x, offset, cell, size)


def _slice_cells(x: Tensor, offset: Tensor, cell: int, size: int) -> Tensor:
    crops = []
    for image, views in zip(x, offset.tolist(), strict=True):
        for first in views:
            window = (slice(None), *(slice(o * cell, (o + size) * cell) for o in first))
            crops.append(image[window])
    stacked: Tensor = torch.stack(crops).unflatten(0, offset.shape[:2])
    return stacked


def _gather_cells(x: Tensor, offset: Tensor, cell: int, size: int) -> Tensor:
    n, (batch, views) = x.ndim - 2, offset.shape[:2]
    cells = split_cells(x, cell).unflatten(1, grid_of(x.shape[2:], cell))
    along = torch.arange(size, device=offset.device)
    index = [torch.arange(batch, device=offset.device).view(batch, *[1] * (n + 1))]
    for axis in range(n):
        first = offset[..., axis].view(batch, views, *[1] * n)
        index.append(first + along.view([size if k == axis else 1 for k in range(n)]))
    picked = cells[tuple(index)]  # (B, V, size, ..., C, cell, ...)
    crops: Tensor = join_cells(picked.flatten(2, 1 + n).flatten(0, 1), [size] * n).unflatten(0, (batch, views))
    return crops
