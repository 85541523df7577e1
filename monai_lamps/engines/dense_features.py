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
"""One feature vector for each place of an image: callables from images to feature maps, for evaluations.

Evaluations take any callable ``maps(images (B, C, *spatial)) -> (B, D, *grid)`` whose map covers the whole image, so a
network that is not an :class:`~monai_lamps.networks.Encoder` needs one line: ``lambda images: network(images)[-1]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.utils import eval_mode
from torch import Tensor, nn

from monai_lamps.networks import Encoder
from monai_lamps.transforms.resample import resample_box

__all__ = ["PatchMaps", "TokenMaps"]

_LINEAR = {2: "bilinear", 3: "trilinear"}


class TokenMaps:
    """The tokens of an encoder, laid out as they lie on the image.

    With several levels each one's features are scaled to length 1, enlarged linearly to the finest of them and put side
    by side, so that a cosine of the result is about the mean of their cosines. The network is in evaluation mode during
    the call, without gradients, and as it was afterwards.

    Args:
        encoder: the encoder.
        levels: which of ``encoder.features``, fine to coarse; the coarsest, -1, passes through the encoder's norm.

    Raises:
        ValueError: when there are no levels, or the encoder lacks one.
    """

    def __init__(self, encoder: Encoder, levels: Sequence[int] = (-1,)) -> None:
        count = len(encoder.strides)
        if not levels or not all(-count <= level < count for level in levels):
            raise ValueError(
                f"levels must be at least one of {-count} to {count - 1} for this encoder of {count} levels, got "
                f"{list(levels)}; -1 is the coarsest."
            )
        self.encoder = encoder
        self.levels = tuple(level % count for level in levels)

    def __call__(self, images: Tensor) -> Tensor:
        """
        Args:
            images: normalised images (B, C, *spatial), sides multiples of the encoder's cell.

        Returns:
            (B, D, *grid) float32.

        Raises:
            ValueError: when the images do not fit the encoder.
        """
        self.encoder.check_input(images)
        with eval_mode(self.encoder):
            maps = self.encoder.features(images)
            maps[-1] = self.encoder.norm(maps[-1].movedim(1, -1)).movedim(-1, 1)
        chosen = [maps[level].float() for level in self.levels]
        if len(chosen) == 1:
            return chosen[0]
        finest = maps[min(self.levels)].shape[2:]
        mode = _LINEAR[len(finest)]
        return torch.cat([F.interpolate(F.normalize(m, dim=1), size=finest, mode=mode) for m in chosen], 1)


class PatchMaps:
    """Embeddings of patches cut around the places of a regular grid: what Adam's and Adam-v2's papers compare.

    The image is mirrored at its border, so that the outermost patches are whole. It costs an embedding for each patch;
    :class:`TokenMaps` embeds the image once.

    Args:
        network: images (B, C, *patch) to embeddings (B, D), such as an encoder; in evaluation mode during the call.
        patch: side of a patch, px, at least ``stride``.
        stride: distance of neighbouring patches, px, divides the image's sides.
        size: side to which patches are resized, px, with antialiasing; ``patch`` by default.
        batch: patches that are embedded at once.

    Raises:
        ValueError: when ``patch`` is smaller than ``stride`` or differs by an odd number of pixels, or a number is not
            positive.
    """

    def __init__(self, network: nn.Module, patch: int, stride: int, size: int | None = None, batch: int = 64) -> None:
        if min(patch, stride, batch, patch if size is None else size) < 1:
            raise ValueError(f"patch, stride, size and batch must be positive, got {patch}, {stride}, {size}, {batch}.")
        if patch < stride or (patch - stride) % 2:
            raise ValueError(
                f"patch must be at least stride and differ by an even number of pixels, so that patches lie about the "
                f"grid's places, got {patch} and {stride}; e.g. patch={stride + max(patch - stride, 0) // 2 * 2}."
            )
        self.network, self.patch, self.stride, self.batch = network, patch, stride, batch
        self.size = patch if size is None else size

    def __call__(self, images: Tensor) -> Tensor:
        """
        Args:
            images: normalised images (B, C, *spatial), sides multiples of ``stride``.

        Returns:
            (B, D, *(side / stride)) float32.

        Raises:
            ValueError: when a side is not a multiple of ``stride``, or too short to be mirrored.
        """
        margin, sides = (self.patch - self.stride) // 2, images.shape[2:]
        if any(side % self.stride or side <= margin for side in sides):
            raise ValueError(
                f"image sides must be multiples of stride {self.stride} and longer than {margin} px, got "
                f"{tuple(sides)}; resize the images, or choose smaller patches."
            )
        padded = F.pad(images, [margin] * (2 * len(sides)), mode="reflect")
        windows: Any = padded
        for axis in range(len(sides)):
            windows = windows.unfold(axis + 2, self.patch, self.stride)  # (B, C, *grid, *patch)
        grid = windows.shape[2 : 2 + len(sides)]
        patches = windows.movedim(1, 1 + len(sides)).flatten(0, len(sides))  # (B * cells, C, *patch)
        with eval_mode(self.network):
            made = [self.network(self._resized(part)).float() for part in patches.split(self.batch)]
        return torch.cat(made).view(len(images), *grid, -1).movedim(-1, 1)

    def _resized(self, patches: Tensor) -> Tensor:
        if self.size == self.patch:
            return patches
        whole = tuple((0.0, float(self.patch)) for _ in patches.shape[2:])
        return torch.stack([resample_box(patch, whole, self.size, "bilinear") for patch in patches])
