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

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_lamps.networks import cell_means

__all__ = ["RadLASViews", "radlas_views"]

_KEYS = 64  # the augmentation of view i of a sample is keyed by seed * KEYS + i


@dataclass(frozen=True)
class RadLASViews:
    """What student and teacher see of a batch, all normalised, (B, C, *spatial).

    Attributes:
        lesioned, healthy: the first view, with and without lesion: input and target of the restoration.
        other_lesioned, other_healthy: the second view, augmented differently; the cells show the same places.
        mask: soft mask of the lesions (B, 1, *spatial), float32 in [0, 1].
        lesion_cells: (B, N), bool: cells that the lesion touches.
        key: (B,) int64, for further random numbers of the samples.
    """

    lesioned: Tensor
    healthy: Tensor
    other_lesioned: Tensor
    other_healthy: Tensor
    mask: Tensor
    lesion_cells: Tensor
    key: Tensor

    @property
    def has_lesion(self) -> Tensor:
        """(B,), bool."""
        return self.lesion_cells.any(dim=1)


def radlas_views(
    batch: Mapping[str, Tensor],
    cell: int,
    augment: Callable[[Tensor, Tensor], Tensor],
    normalize: Callable[[Tensor], Tensor],
) -> RadLASViews:
    """Augment and normalise a batch: an image and its healthy counterpart always get the same augmentation.

    Args:
        batch: ``image`` (B, C, *spatial), with lesions, and ``healthy``, without, float in [0, 1]; ``lesion``
            (B, 1, *spatial), float in [0, 1]; ``seed`` (B,) int64.
        cell: of the encoder, px.
        augment: of images and keys; it must not move anything.
        normalize: images in [0, 1] to the encoder's range.
    """
    key = batch["seed"] % 2**56 * _KEYS
    pairs = torch.cat([batch["image"], batch["healthy"]])
    (lesioned, healthy), (other_lesioned, other_healthy) = (
        normalize(augment(pairs, (key + view).repeat(2))).chunk(2) for view in range(2)
    )
    mask = batch["lesion"].float()
    cells = cell_means(mask, cell) > 0
    return RadLASViews(lesioned, healthy, other_lesioned, other_healthy, mask, cells, key)
