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
from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from monai_lamps.methods.lamps.crops import LampsCrops
from monai_lamps.networks import Encoder
from monai_lamps.transforms import recompose, shuffle_cells

__all__ = ["lamps_pictures", "order_map"]

_RIGHT, _WRONG = (0.25, 0.85, 0.35), (0.9, 0.25, 0.2)


def lamps_pictures(
    crops: LampsCrops, student: Encoder, order_head: nn.Module | None = None, samples: int = 3
) -> dict[str, Tensor]:
    """Pictures of the first samples of a batch, one sample a column.

    - ``views``: both clean views, one above the other;
    - ``context``: what the student may see (bright) and has to extrapolate (dark);
    - ``quadrants``: the augmented quadrants, put side by side;
    - ``order_map``: the shuffled view, and where the student puts its cells (framed green: right, red: wrong), 2-D
      only.

    Volumes are shown by their central slice.

    Args:
        crops: crops of a batch.
        student: the student's encoder, which is asked for the order.
        order_head: tokens to scores of their place; without it there is no order map.
        samples: how many samples to show.

    Returns:
        pictures by name, (1 or 3, H, W), float in [0, 1].
    """
    g, first = crops.geometry, slice(0, 2 * samples, 2)
    hidden = _enlarge(crops.hidden[first], g.view, g.cell, g.spatial_dims)
    context = crops.views[first] * torch.where(hidden, 0.25, 1.0)[:, None]
    parts = crops.parts.unflatten(0, (-1, g.parts))
    pictures = {
        "views": torch.cat([_row(crops.views[first]), _row(crops.views[1 : 2 * samples : 2])], dim=1),
        "context": _row(context),
        "quadrants": _row(recompose(parts[first], g.spatial_dims)),
    }
    if order_head is not None and g.spatial_dims == 2:
        tokens, _ = student.embed(crops.shuffled[first])
        logits = order_head(tokens)
        permutation = crops.permutation[first]
        shuffled = shuffle_cells(crops.views[first], permutation, g.cell)
        restored = torch.stack([order_map(s, q, p, g.cell) for s, q, p in zip(shuffled, logits, permutation)])
        pictures["order_map"] = torch.cat([_row(shuffled).expand(3, -1, -1), _row(restored)], dim=1)
    return {name: picture.clamp(0, 1).cpu() for name, picture in pictures.items()}


def order_map(shuffled: Tensor, logits: Tensor, permutation: Tensor, cell: int) -> Tensor:
    """Where the cells of a shuffled view are put back, each framed in green where right, in red where wrong.

    Every cell is placed once: the placement is the assignment with the largest sum of logits.

    Args:
        shuffled: a shuffled view, (C, H, W), float in [0, 1]; its first channel is shown.
        logits: scores of every position's original cell, (N, N).
        permutation: (N,) int64, position j shows cell permutation[j].
        cell: side of a cell in px.

    Returns:
        (3, H, W), float in [0, 1].
    """
    position, placed = linear_sum_assignment(-logits.float().cpu().numpy())
    put = torch.empty_like(permutation)
    put[torch.as_tensor(placed, device=put.device)] = torch.as_tensor(position, device=put.device)
    restored = shuffle_cells(shuffled[None, :1], put[None], cell)[0]
    right = permutation[put] == torch.arange(len(put), device=put.device)
    grid = round(len(put) ** 0.5)
    right_px = _enlarge(right[None], grid, cell, 2)
    colour = torch.where(right_px, _colour(_RIGHT, shuffled), _colour(_WRONG, shuffled))
    edge = max(1, cell // 16)
    within = torch.arange(grid * cell, device=put.device) % cell
    frame = (within < edge) | (within >= cell - edge)
    return torch.where(frame[:, None] | frame[None, :], colour, restored)


def _colour(rgb: tuple[float, float, float], like: Tensor) -> Tensor:
    colour: Tensor = like.new_tensor(rgb)[:, None, None]
    return colour


def _enlarge(cells: Tensor, grid: int, cell: int, spatial_dims: int) -> Tensor:
    """(B, grid**n) values of cells to px, (B, grid * cell, ...)."""
    value: Tensor = cells.unflatten(1, (grid,) * spatial_dims)
    for axis in range(spatial_dims):
        value = value.repeat_interleave(cell, dim=1 + axis)
    return value


def _row(images: Tensor) -> Tensor:
    """(B, C, ...) to one picture, (C or 1, H, sum of W); of a volume the central slice of the first axis."""
    if images.ndim == 5:
        images = images[:, :, images.shape[2] // 2]
    images = images if images.shape[1] == 3 else images[:, :1]
    return torch.cat(list(images), dim=-1)
