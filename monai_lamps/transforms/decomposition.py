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

"""Decomposition of an image into its quadrants (2-D) or octants (3-D), and back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from monai.config.type_definitions import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends
from torch import Tensor

from monai_lamps.transforms.resample import as_image

__all__ = ["Decompose", "DecomposeD", "DecomposeDict", "Decomposed", "decompose", "recompose"]


def decompose(x: Tensor, spatial_dims: int) -> Tensor:
    """Halve an image along every spatial axis (Lamps, arXiv 2512.22872: composition and decomposition).

    Parts are ordered with the *first* spatial axis running fastest, in 2-D top-left, bottom-left, top-right,
    bottom-right. The order is part of the composer's and the decomposer's released weights.

    Args:
        x: (..., C, *spatial), ``spatial_dims`` even sides; any leading axes.
        spatial_dims: number n of spatial axes.

    Returns:
        (..., 2**n, C, *spatial/2); part ``sum_k b_k 2^k`` is the half ``b_k`` (0 first, 1 second) of each axis k.

    Raises:
        ValueError: when x has too few axes or a side is odd.
    """
    n = spatial_dims
    if n < 1 or x.ndim < n + 1:
        raise ValueError(f"x must be (..., C, *spatial) with {n} spatial axes, got shape {tuple(x.shape)}.")
    spatial = x.shape[-n:]
    if any(side % 2 or side == 0 for side in spatial):
        raise ValueError(
            f"an image of spatial shape {tuple(spatial)} has no exact halves; crop or resize it to even sides "
            "(an even number of cells)."
        )
    lead = x.ndim - n  # axes before the spatial ones, the channel last of them
    parts = x.reshape(*x.shape[:lead], *(length for side in spatial for length in (2, side // 2)))
    bits = [lead + 2 * k for k in range(n - 1, -1, -1)]
    order = [*range(lead - 1), *bits, lead - 1, *(lead + 2 * k + 1 for k in range(n))]
    return parts.permute(order).flatten(lead - 1, lead + n - 2)


def recompose(parts: Tensor, spatial_dims: int) -> Tensor:
    """Put quadrants or octants together again, the inverse of :py:func:`decompose`.

    Args:
        parts: (..., 2**n, C, *half), in the order of :py:func:`decompose`.
        spatial_dims: number n of spatial axes.

    Returns:
        (..., C, *spatial).

    Raises:
        ValueError: when the axis of the parts does not hold 2**n of them.
    """
    n = spatial_dims
    if n < 1 or parts.ndim < n + 2 or parts.shape[-n - 2] != 2**n:
        raise ValueError(f"parts must be (..., {2**n}, C, *half) with {n} spatial axes, got {tuple(parts.shape)}.")
    lead = parts.ndim - n - 2
    split: Tensor = parts.unflatten(lead, (2,) * n)  # (..., b_{n-1}, ..., b_0, C, *half)
    order = [*range(lead), lead + n]
    for k in range(n):
        order += [lead + n - 1 - k, lead + n + 1 + k]
    return split.permute(order).reshape(*parts.shape[:lead], parts.shape[-n - 1], *(2 * s for s in parts.shape[-n:]))


class Decompose(Transform):
    """Decompose one image into 2**(n*levels) parts, coarse to fine.

    Args:
        levels: how often to halve; with 2 levels each part of the first is decomposed in turn, the parts of the first
            part coming first.

    Raises:
        ValueError: for less than one level.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, levels: int = 1) -> None:
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}.")
        self.levels = levels

    def __call__(self, img: NdarrayOrTensor) -> list[Tensor]:
        """Decompose (C, *spatial) into a list of parts (C, *spatial / 2**levels), float32, without overlap.

        Raises:
            ValueError: when a side cannot be halved that often.
        """
        data = as_image(img)
        n, side = data.ndim - 1, 2**self.levels
        if any(length % side for length in data.shape[1:]):
            raise ValueError(
                f"an image of spatial shape {tuple(data.shape[1:])} cannot be halved {self.levels} time(s); crop or "
                f"resize it to multiples of {side}."
            )
        parts = data
        for _ in range(self.levels):
            parts = decompose(parts, n)
        return [part.contiguous() for part in parts.flatten(0, self.levels - 1)]


class Decomposed(MapTransform):
    """Dictionary form of :py:class:`Decompose`: writes ``{key}_{postfix}0``, ``{key}_{postfix}1``, ... for each key.

    Args:
        keys: images to decompose; they stay.
        levels: see :py:class:`Decompose`.
        postfix: between the key and the number of the part.
        allow_missing_keys: skip keys that are absent.
    """

    backend = Decompose.backend

    def __init__(
        self, keys: KeysCollection, levels: int = 1, postfix: str = "part", allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.decompose = Decompose(levels)
        self.postfix = postfix

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the parts of each key's image (C, *spatial)."""
        d = dict(data)
        for key in self.key_iterator(d):
            for i, part in enumerate(self.decompose(d[key])):
                d[f"{key}_{self.postfix}{i}"] = part
        return d


DecomposeD = DecomposeDict = Decomposed
