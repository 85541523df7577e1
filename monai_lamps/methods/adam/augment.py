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

import math

import torch
from torch import Tensor, nn

from monai_lamps.transforms import PhotometricAugment, keyed_uniform
from monai_lamps.transforms.elastic import affine_grid, affine_map, warp

__all__ = ["AdamAugment"]

_TOSS, _FACTOR, _ANGLE, _AXIS = range(8, 12)  # streams of random numbers; the blur takes those below 8


class AdamAugment(nn.Module):
    """Adam's augmentation of the views, batched on the device: brightness and contrast, blur, rotation.

    The released recipe (torchvision's ColorJitter(0.4, 0.4, 0.4, 0.1) with probability 0.8, GaussianBlur with
    probability 0.5, RandomRotation(30), no flip), after the random resized crop that
    :class:`~monai_lamps.methods.adam.RandAdamViewsd` makes. Random numbers are a pure function of the sample's key, as
    in :class:`~monai_lamps.transforms.PhotometricAugment`.

    Deviations: radiographs are grey, so there is no saturation or hue to change; brightness always comes before
    contrast; the blur has a sigma of 0.8, 1.1, ... 2.0 px at 224 px (released: 0.1 to 2, of which the lower part hardly
    blurs); what a rotation brings in from outside is the mirrored picture and not black; rotation is linear and not by
    the nearest neighbour. It is an interpolation of its own, as released. In 3-D the axis of rotation is random.

    Args:
        size: side of the views, px; the blur scales with it.
        brightness: b, in [0, 1]; multiplies by ``U(1 - b, 1 + b)``.
        contrast: c, in [0, 1]; multiplies the difference from the image's mean by ``U(1 - c, 1 + c)``.
        rotation: largest angle, degrees, >= 0.
        jitter_prob, blur_prob: probability of brightness with contrast, and of the blur, in [0, 1].

    Raises:
        ValueError: for an impossible size, range or probability.
    """

    def __init__(
        self,
        size: int,
        brightness: float = 0.4,
        contrast: float = 0.4,
        rotation: float = 30.0,
        jitter_prob: float = 0.8,
        blur_prob: float = 0.5,
    ) -> None:
        super().__init__()
        if size < 1 or rotation < 0:
            raise ValueError(f"size must be at least 1 px and rotation >= 0, got {size} and {rotation}.")
        for name, value in {"brightness": brightness, "contrast": contrast, "jitter_prob": jitter_prob}.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}.")
        self.brightness, self.contrast, self.rotation = brightness, contrast, rotation
        self.jitter_prob = jitter_prob
        cell = max(1, round(size / 7))  # lengths are given at a cell of 32 px, of which 224 px have seven
        self.blur = PhotometricAugment(cell, blur=(3, 11), brightness_prob=0, blur_prob=blur_prob, elastic_prob=0)

    @torch.no_grad()
    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        """Augment a batch. No gradient flows; computed in float32 also under autocast.

        Args:
            x: (B, C, *spatial) in [0, 1], 2-D or 3-D, not normalised.
            key: (B,) int64, one per image, on the device of ``x``.

        Returns:
            (B, C, *spatial) float32 in [0, 1].

        Raises:
            ValueError: when x is not a batch of 2-D or 3-D images as many as the keys.
        """
        with torch.autocast(x.device.type, enabled=False):
            return self._rotate(self.blur(self._jitter(x.float(), key), key), key)

    def _jitter(self, x: Tensor, key: Tensor) -> Tensor:
        chosen = keyed_uniform(key, _TOSS) < self.jitter_prob
        tone = 2 * keyed_uniform(key, _FACTOR, (2,)) - 1
        ones = [1] * (x.ndim - 1)
        brightness, contrast = (
            torch.where(chosen, 1 + strength * tone[:, i], 1.0).view(-1, *ones)
            for i, strength in enumerate((self.brightness, self.contrast))
        )
        x = (x * brightness).clamp_(0, 1)
        mean = x.mean(dim=tuple(range(1, x.ndim)), keepdim=True)
        return torch.lerp(mean, x, contrast).clamp_(0, 1)

    def _rotate(self, x: Tensor, key: Tensor) -> Tensor:
        shape = x.shape[2:]
        n, half = len(shape), min(shape) / 3
        angle = (2 * keyed_uniform(key, _ANGLE) - 1) * math.radians(self.rotation)
        # the control points of affine_map: all coordinates positive, then axis 0 negated, then axis 1 too, ...
        points = torch.ones(n + 1, n, device=x.device).triu() * 2 - 1
        moved = half * points @ _turn(angle, _plane(key, n))
        return warp(x, affine_grid(*affine_map(moved, shape), shape))


def _turn(angle: Tensor, plane: Tensor) -> Tensor:
    """Rotation less identity, (B, n, n), by angles (B,) in planes (B, n, n), skew-symmetric (Rodrigues' formula)."""
    angle = angle[:, None, None]
    return torch.sin(angle) * plane + (1 - torch.cos(angle)) * (plane @ plane)


def _plane(key: Tensor, spatial_dims: int) -> Tensor:
    """The plane of rotation, (B, n, n): in 2-D there is one, in 3-D it is that across a random axis."""
    if spatial_dims == 2:
        quarter: Tensor = torch.tensor([[0.0, -1.0], [1.0, 0.0]], device=key.device)
        return quarter.expand(len(key), 2, 2)
    drawn = keyed_uniform(key, _AXIS, (2,))
    height, longitude = 2 * drawn[:, 0] - 1, 2 * math.pi * drawn[:, 1]
    across = torch.sqrt(1 - height**2)
    axis = torch.stack([height, across * torch.cos(longitude), across * torch.sin(longitude)], dim=1)
    plane: Tensor = torch.linalg.cross(axis[:, None], torch.eye(3, device=key.device)[None])
    return plane
