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
from functools import cached_property

import torch
from torch import Tensor

from monai_lamps.methods.lamps.geometry import LampsGeometry
from monai_lamps.networks import Encoder
from monai_lamps.transforms import context_window, decompose, grid_views, shuffle_cells, window_mask

__all__ = ["LampsCrops"]

#: the augmentation of crop i of a sample is keyed by seed * KEYS + i; views come first, quadrants after them
_KEYS, _FIRST_QUADRANT = 64, 32


class LampsCrops:
    """Everything a step can ask of one batch, each made when an objective first asks for it, and made once.

    The two views of a sample are folded into the batch: B = 2 b, ordered sample by sample. Crops are slices of the
    region (no second interpolation); teacher embeddings carry no gradient.

    Args:
        batch: a collated batch, see :meth:`Lamps.forward`.
        geometry: sizes in cells.
        student, teacher: their encoders.
        normalize: images in [0, 1] to the encoder's range.
        augment: (images in [0, 1], keys (B,)) to augmented images in [0, 1].
    """

    def __init__(
        self,
        batch: Mapping[str, Tensor],
        geometry: LampsGeometry,
        student: Encoder,
        teacher: Encoder,
        normalize: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.batch, self.geometry = batch, geometry
        self.student, self.teacher = student, teacher
        self.normalize, self.augment = normalize, augment

    @cached_property
    def views(self) -> Tensor:
        """Clean views, (B, C, view_size, ...), float in [0, 1]."""
        g = self.geometry
        return grid_views(self.batch["image"], self.batch["view_offset"], g.cell, g.view).flatten(0, 1)

    @cached_property
    def clean(self) -> Tensor:
        """Normalised clean views: what the teacher always sees."""
        return self.normalize(self.views)

    @cached_property
    def hidden(self) -> Tensor:
        """True where a cell of the view lies outside its context window, (B, N)."""
        g = self.geometry
        return ~window_mask(self.batch["window_offset"].flatten(0, 1), g.view, g.window)

    @cached_property
    def context(self) -> Tensor:
        """The visible window of every view, (B, C, window * cell, ...), normalised."""
        g = self.geometry
        return context_window(self.clean, self.batch["window_offset"].flatten(0, 1), g.cell, g.window)

    @cached_property
    def permutation(self) -> Tensor:
        """(B, N) int64; both views of a sample share it."""
        return self.batch["permutation"].repeat_interleave(2, dim=0)

    @cached_property
    def shuffled(self) -> Tensor:
        """Clean views with their cells permuted, normalised."""
        return shuffle_cells(self.clean, self.permutation, self.geometry.cell)

    @cached_property
    def augmented(self) -> Tensor:
        """Augmented views, normalised: what the student sees of the whole."""
        return self.normalize(self.augment(self.views, self._keys(2, 0)))

    @cached_property
    def student_augmented(self) -> tuple[Tensor, Tensor]:
        """Student's tokens (B, N, D) and mean (B, D) of the augmented views; two objectives ask for them."""
        tokens, mean = self.student.embed(self.augmented)
        return tokens, mean

    @cached_property
    def parts(self) -> Tensor:
        """Augmented parts of the views, (B * 2**n, C, view_size / 2, ...), float in [0, 1]."""
        parts = decompose(self.views, self.geometry.spatial_dims).flatten(0, 1)
        return self.augment(parts, self._keys(2 * self.geometry.parts, _FIRST_QUADRANT))

    @cached_property
    def quadrants(self) -> Tensor:
        """Augmented parts, normalised: what student and teacher see of them."""
        return self.normalize(self.parts)

    @cached_property
    def _teacher_views(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            tokens, mean = self.teacher.embed(self.clean)
        return tokens, mean

    @property
    def teacher_tokens(self) -> Tensor:
        """Teacher's tokens of the clean views, (B, N, D)."""
        return self._teacher_views[0]

    @property
    def teacher_global(self) -> Tensor:
        """Teacher's mean embedding of the clean views, (B, D)."""
        return self._teacher_views[1]

    @cached_property
    def teacher_parts(self) -> Tensor:
        """Teacher's mean embeddings of the quadrants, (B, 2**n, D)."""
        with torch.no_grad():
            _, mean = self.teacher.embed(self.quadrants)
        parts: Tensor = mean.unflatten(0, (-1, self.geometry.parts))
        return parts

    def _keys(self, per_sample: int, first: int) -> Tensor:
        """Keys of the augmentation of some crops of every sample, (b * per_sample,) int64."""
        crop = torch.arange(first, first + per_sample, device=self.batch["seed"].device)
        return (self.batch["seed"][:, None] % 2**56 * _KEYS + crop).flatten()
