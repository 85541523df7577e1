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

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["nearest_parts", "neighbour_picture", "view_picture"]

_RIGHT, _WRONG = (0.25, 0.85, 0.35), (0.9, 0.25, 0.2)


def view_picture(views: Tensor, samples: int = 6) -> Tensor:
    """Views, mostly pairs, below each other, one sample a column; of volumes the central slices.

    Args:
        views: (B, V, C, *spatial), float in [0, 1].
        samples: how many samples to show.

    Returns:
        (1 or 3, H, W), float in [0, 1].
    """
    return torch.cat([_row(views[:samples, view]) for view in range(views.shape[1])], dim=1)


@torch.no_grad()
def nearest_parts(embeddings: Tensor, count: int = 1) -> Tensor:
    """The parts of other images that are most like each part, by the cosine of their embeddings.

    Args:
        embeddings: (N, P, D), float: P parts of N >= 2 images.
        count: how many, 1 .. (N - 1) * P.

    Returns:
        (N, P, count) int64: positions in the N * P parts, nearest first.
    """
    images, parts = embeddings.shape[:2]
    flat = F.normalize(embeddings.float().flatten(0, 1), dim=1)
    image = torch.arange(images, device=flat.device).repeat_interleave(parts)
    cosine = (flat @ flat.T).masked_fill(image[:, None] == image, -torch.inf)
    nearest: Tensor = cosine.topk(count, dim=1).indices.unflatten(0, (images, parts))
    return nearest


def neighbour_picture(
    parts: Tensor, embeddings: Tensor, shown: Sequence[tuple[int, int]] | None = None, count: int = 5
) -> Tensor:
    """Parts, each with its nearest neighbours in other images: framed green where these are of the same place.

    Each row begins with the part in question. An encoder that has understood anatomy finds the same place of other
    patients.

    Args:
        parts: (N, P, C, *spatial), float in [0, 1]; N >= 2.
        embeddings: (N, P, D), float.
        shown: (image, part) of each row; by default four parts, spread over the parts and the images.
        count: neighbours in a row, at the most.

    Returns:
        (3, H, W), float in [0, 1].
    """
    n, p = parts.shape[:2]
    rows = shown or [(row % n, (2 * row + 1) * p // 8) for row in range(4)]
    nearest = nearest_parts(embeddings, min(count, (n - 1) * p)).to(parts.device)
    flat, lines = parts.flatten(0, 1), []
    for image, part in rows:
        found = nearest[image, part]
        tiles = [_flat_picture(flat[image * p + part])]
        for number in found.tolist():
            tiles.append(_framed(_flat_picture(flat[number]), _RIGHT if number % p == part else _WRONG))
        lines.append(torch.cat(tiles, dim=-1))
    return torch.cat(lines, dim=1)


def _framed(picture: Tensor, colour: Sequence[float]) -> Tensor:
    edge = max(1, min(picture.shape[1:]) // 32)
    inside = torch.zeros(picture.shape[1:], dtype=torch.bool, device=picture.device)
    inside[edge:-edge, edge:-edge] = True
    return torch.where(inside, picture, picture.new_tensor(colour)[:, None, None])


def _flat_picture(image: Tensor) -> Tensor:
    """(C, *spatial) to a colour picture (3, H, W); of a volume the central slice of the first axis."""
    return _row(image[None]).expand(3, -1, -1)


def _row(images: Tensor) -> Tensor:
    """(B, C, *spatial) to one picture, (1 or 3, H, sum of W)."""
    if images.ndim == 5:
        images = images[:, :, images.shape[2] // 2]
    images = images if images.shape[1] == 3 else images[:, :1]
    return torch.cat(list(images), dim=-1)
