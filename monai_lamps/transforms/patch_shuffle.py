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

"""Shuffling the cells of a view, with the permutation as data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends
from torch import Tensor

from monai_lamps.transforms.cells import check_cell, grid_of, join_cells, split_cells
from monai_lamps.transforms.resample import as_image

__all__ = [
    "RandPatchShuffle",
    "RandPatchShuffleD",
    "RandPatchShuffleDict",
    "RandPatchShuffled",
    "inverse_permutation",
    "shuffle_cells",
]


def shuffle_cells(view: Tensor, permutation: Tensor, cell: int) -> Tensor:
    """Rearrange the cells of each view: position j shows cell ``permutation[j]`` (Lamps' and POPAR's patch order).

    Args:
        view: (B, C, *spatial), each side a multiple of ``cell``.
        permutation: (B, N) int64, one permutation of the N row-major cells per sample; only its shape is checked.
        cell: side of a cell, px.

    Returns:
        A tensor of the shape of ``view``.

    Raises:
        ValueError: when a side is no multiple of the cell or the permutations have another length.
    """
    grid, cells = grid_of(view.shape[2:], cell), split_cells(view, cell)
    if permutation.shape != cells.shape[:2]:
        raise ValueError(
            f"permutation must be (B, N) = {tuple(cells.shape[:2])} for cells of {cell} px, got "
            f"{tuple(permutation.shape)}."
        )
    sample = torch.arange(len(cells), device=permutation.device)[:, None]
    return join_cells(cells[sample, permutation], grid)


def inverse_permutation(permutation: Tensor) -> Tensor:
    """The permutation that undoes each of ``permutation``.

    Args:
        permutation: (B, N) int64.

    Returns:
        (B, N) int64 with ``inverse[b, permutation[b, j]] = j``.

    Raises:
        ValueError: when the input is not (B, N).
    """
    if permutation.ndim != 2:
        raise ValueError(f"permutation must be (B, N), got {tuple(permutation.shape)}.")
    position = torch.arange(permutation.shape[1], device=permutation.device).expand_as(permutation)
    return torch.empty_like(permutation).scatter_(1, permutation, position)


class RandPatchShuffle(RandomizableTransform):
    """Draw a permutation of all cells of an image and rearrange them.

    MONAI's RandCoarseShuffle permutes the pixels *inside* random holes; this one permutes whole cells and keeps the
    permutation, which is the target of the order objective.

    Args:
        cell: side of a cell, px.
        prob: probability to shuffle at all (Lamps 1, POPAR 0.5); otherwise the permutation is the identity.

    Attributes:
        permutation: (N,) int64, the last one drawn; position j shows cell ``permutation[j]``.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, cell: int, prob: float = 1.0) -> None:
        RandomizableTransform.__init__(self, prob)
        self.cell = check_cell(cell)
        self.permutation: Tensor | None = None

    def randomize(self, data: int) -> None:
        """Draw a permutation of ``data`` cells."""
        super().randomize(None)
        drawn = self.R.permutation(data) if self._do_transform else np.arange(data)
        self.permutation = torch.as_tensor(drawn, dtype=torch.int64)

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> Tensor:
        """Shuffle one image.

        Args:
            img: (C, *spatial), 2-D or 3-D, each side a multiple of ``cell``.
            randomize: draw a new permutation; False uses the last one again.

        Returns:
            A float32 tensor of the same shape.

        Raises:
            ValueError: when a side is no multiple of the cell, or the last permutation is of another grid.
            RuntimeError: when nothing has been drawn and ``randomize`` is False.
        """
        data = as_image(img)
        grid = grid_of(data.shape[1:], self.cell)
        if randomize:
            self.randomize(int(np.prod(grid)))
        if self.permutation is None:
            raise RuntimeError("no permutation has been drawn yet; call randomize(cells) before randomize=False.")
        return shuffle_cells(data[None], self.permutation[None], self.cell)[0]


class RandPatchShuffled(RandomizableTransform, MapTransform):
    """Dictionary form of :py:class:`RandPatchShuffle`: replaces each key, all by the same permutation.

    Args:
        keys: images to shuffle; all with the same number of cells.
        cell, prob: see :py:class:`RandPatchShuffle`.
        permutation_key: key that the permutation, (N,) int64, is written to.
        allow_missing_keys: skip keys that are absent.
    """

    backend = RandPatchShuffle.backend

    def __init__(
        self,
        keys: KeysCollection,
        cell: int,
        prob: float = 1.0,
        permutation_key: str = "permutation",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)  # the array transform draws whether to shuffle
        self.shuffle = RandPatchShuffle(cell, prob)
        self.permutation_key = permutation_key

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandPatchShuffled:
        """Seed this transform and the array transform inside it."""
        super().set_random_state(seed, state)
        self.shuffle.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Shuffle each key's image (C, *spatial) and add the permutation."""
        d = dict(data)
        for number, key in enumerate(self.key_iterator(d)):
            d[key] = self.shuffle(d[key], randomize=number == 0)
            assert self.shuffle.permutation is not None
            d[self.permutation_key] = self.shuffle.permutation
        return d


RandPatchShuffleD = RandPatchShuffleDict = RandPatchShuffled
