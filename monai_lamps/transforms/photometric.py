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

"""Batched augmentation on the device: brightness and contrast, blur, elastic deformation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monai_lamps.transforms.cells import check_cell
from monai_lamps.transforms.elastic import (
    add_smooth_noise,
    affine_grid,
    affine_map,
    elastic_std,
    lattice_shape,
    lattice_weights,
    warp,
)
from monai_lamps.transforms.keyed_random import keyed_uniform

__all__ = ["PhotometricAugment"]

_STREAMS = 8  # quantities drawn per stream of the caller


class PhotometricAugment(nn.Module):
    """Augment a batch of images (Lamps, arXiv 2512.22872: the augmented views and the local crops).

    In this order, each with its own probability per sample: brightness and contrast, Gaussian blur, elastic with
    affine deformation. All channels of a sample get the same. Random numbers are a pure function of the sample's key
    (:py:func:`keyed_uniform`), so a sample is augmented alike in any batch and on any device; nothing waits for the
    host. The defaults are the published list (albumentations' RandomBrightnessContrast, GaussianBlur, ElasticTransform
    with alpha 30, sigma 6, alpha_affine 20). Lengths are in px at a cell of 32 px and scale with ``cell / 32``.

    Deviations: images stay float in [0, 1] where the released code rounds to 8 bit; the elastic field is drawn on a
    lattice (same strength and correlation, see :py:func:`add_smooth_noise`) and sampled together with the affine map in
    one interpolation instead of two; the affine map is drawn as the backward map (the same distribution to first
    order); in 3-D the elastic strength in px is that of 2-D.

    Args:
        cell: side of a cell, px.
        brightness: b; adds ``U(-b, b)`` times the maximum 1, after the contrast.
        contrast: c; multiplies by ``1 + U(-c, c)`` (about 0, not about the mean, as albumentations does).
        blur: smallest and largest kernel, odd px at cell 32; sigma is ``0.3 ((k - 1) / 2 - 1) + 0.8`` px.
        alpha: strength of the elastic deformation; alpha 30 with sigma 6 displaces by 0.81 px (standard deviation).
        sigma: smoothness of the elastic deformation, px at cell 32.
        affine: largest displacement of the control points along each axis, px at cell 32 (:py:func:`warp`).
        brightness_prob, blur_prob, elastic_prob: probability of each step, in [0, 1].

    Raises:
        ValueError: for an impossible range or probability.
    """

    def __init__(
        self,
        cell: int,
        brightness: float = 0.2,
        contrast: float = 0.2,
        blur: tuple[int, int] = (3, 7),
        alpha: float = 30.0,
        sigma: float = 6.0,
        affine: float = 20.0,
        brightness_prob: float = 0.5,
        blur_prob: float = 0.5,
        elastic_prob: float = 0.5,
    ) -> None:
        super().__init__()
        self.cell = check_cell(cell)
        if len(blur) != 2 or not 3 <= blur[0] <= blur[1] or blur[0] % 2 == 0 or blur[1] % 2 == 0:
            raise ValueError(f"blur must be (low, high) of odd kernel sizes, 3 <= low <= high, got {blur}.")
        if not (brightness >= 0 and 0 <= contrast <= 1 and alpha >= 0 and sigma > 0 and affine >= 0):
            raise ValueError(
                "expected brightness, alpha, affine >= 0, contrast in [0, 1] and sigma > 0, got "
                f"brightness={brightness}, contrast={contrast}, alpha={alpha}, sigma={sigma}, affine={affine}."
            )
        for name, prob in {"brightness": brightness_prob, "blur": blur_prob, "elastic": elastic_prob}.items():
            if not 0 <= prob <= 1:
                raise ValueError(f"{name}_prob must lie in [0, 1], got {prob}.")
        self.brightness, self.contrast, self.blur = brightness, contrast, tuple(blur)
        self.alpha, self.sigma, self.affine = alpha, sigma, affine
        self.brightness_prob, self.blur_prob, self.elastic_prob = brightness_prob, blur_prob, elastic_prob

    def draw(self, key: Tensor, spatial_shape: Sequence[int], stream: int = 0) -> dict[str, Tensor]:
        """Draw the parameters of a batch; a pure function of its arguments.

        Args:
            key: (B,) int64, one per sample.
            spatial_shape: px.
            stream: set it apart for each augmentation of the same sample, in [0, 2^29).

        Returns:
            On the device of ``key``: ``contrast`` and ``brightness`` (B,), ``taps`` (B, K) blur kernel along an axis,
            ``elastic`` (B,) bool, ``corners`` (B, n+1, n) px, ``noise`` (B, n, *lattice). Where a step was not chosen,
            contrast is 1, brightness 0, the kernel one tap, ``elastic`` False. ``corners`` and ``noise`` are absent
            when ``elastic_prob`` is 0.
        """
        scale, n, first = self.cell / 32, len(spatial_shape), stream * _STREAMS
        toss = keyed_uniform(key, first, (3,))
        toned, blurred = toss[:, 0] < self.brightness_prob, toss[:, 1] < self.blur_prob
        tone = 2 * keyed_uniform(key, first + 1, (2,)) - 1
        params = {
            "contrast": torch.where(toned, 1 + self.contrast * tone[:, 0], 1.0),
            "brightness": torch.where(toned, self.brightness * tone[:, 1], 0.0),
            "taps": self._taps(keyed_uniform(key, first + 2), blurred),
            "elastic": toss[:, 2] < self.elastic_prob,
        }
        if self.elastic_prob > 0:
            params["corners"] = (2 * keyed_uniform(key, first + 3, (n + 1, n)) - 1) * (self.affine * scale)
            lattice = lattice_shape(spatial_shape, self.sigma * scale)
            params["noise"] = (2 * keyed_uniform(key, first + 4, (n, *lattice)) - 1) * math.sqrt(3)  # unit variance
        return params

    def _taps(self, uniform: Tensor, chosen: Tensor) -> Tensor:
        """(B, K) symmetric kernels, each cut off at its own radius, in a frame of the largest."""
        scale, low, high = self.cell / 32, (self.blur[0] - 1) // 2, (self.blur[1] - 1) // 2
        radius = torch.where(chosen, low + torch.floor(uniform * (high - low + 1)), 0.0)[:, None]  # at cell 32
        sigma = (0.3 * (radius - 1) + 0.8) * scale
        frame = math.ceil(high * scale)
        distance = torch.arange(-frame, frame + 1, device=uniform.device, dtype=uniform.dtype).abs()
        taps = torch.exp(-(distance**2) / (2 * sigma**2)) * (distance <= torch.ceil(radius * scale))
        return taps / taps.sum(1, keepdim=True)

    def apply_params(self, x: Tensor, params: dict[str, Tensor]) -> Tensor:
        """Apply drawn parameters; deterministic. Shapes as in :py:meth:`forward` and :py:meth:`draw`."""
        x = x.clamp(0, 1)  # a copy: the steps write into it
        if self.brightness_prob > 0:
            for rows in _chosen((params["contrast"] != 1) | (params["brightness"] != 0)):
                contrast, brightness = (_like(params[name][rows], x) for name in ("contrast", "brightness"))
                x[rows] = (x[rows] * contrast).add_(brightness).clamp_(0, 1)
        if self.blur_prob > 0:
            for rows in _chosen(params["taps"].amax(1) < 1):
                x[rows] = _blur(x[rows], params["taps"][rows])
        if self.elastic_prob > 0:
            weights = lattice_weights(x.shape[2:], self.sigma * self.cell / 32, x)
            for rows in _chosen(params["elastic"]):
                moved = self._deform(x[rows], params["corners"][rows], params["noise"][rows], weights)
                x[rows] = torch.where(_like(params["elastic"][rows], x), moved, x[rows])
        return x.clamp_(0, 1)

    def _deform(self, x: Tensor, corners: Tensor, noise: Tensor, weights: list[Tensor]) -> Tensor:
        """Elastic and affine deformation: each point moves by the smooth noise, and then with the affine map."""
        matrix, offset = affine_map(corners, x.shape[2:])
        strength = elastic_std(self.alpha, self.sigma) * self.cell / 32
        through_map = (matrix.mT * strength) @ noise.flatten(2)
        grid = affine_grid(matrix, offset, x.shape[2:])
        return warp(x, add_smooth_noise(grid, through_map.view_as(noise), weights))

    @torch.no_grad()
    def forward(self, x: Tensor, key: Tensor, stream: int = 0) -> Tensor:
        """Augment a batch. No gradient flows; computed in float32 also under autocast.

        Args:
            x: (B, C, *spatial) in [0, 1], 2-D or 3-D, not normalised.
            key: (B,) int64 on the device of ``x``.
            stream: set it apart for each augmentation of the same sample (view 0, view 1, ...).

        Returns:
            (B, C, *spatial) float32 in [0, 1]; a sample for which no step was chosen is returned as it is.

        Raises:
            ValueError: when x is not a batch of 2-D or 3-D images as many as the keys, or smaller than the blur kernel.
        """
        if x.ndim not in (4, 5) or len(x) != len(key):
            raise ValueError(
                f"expected (B, C, H, W) or (B, C, D, H, W) and one key per sample, got {tuple(x.shape)} and "
                f"{len(key)} keys."
            )
        least = math.ceil((self.blur[1] - 1) // 2 * self.cell / 32) + 1
        if min(x.shape[2:]) < least:
            raise ValueError(f"each side must be at least {least} px to be blurred, got {tuple(x.shape[2:])}.")
        with torch.autocast(x.device.type, enabled=False):
            return self.apply_params(x.float(), self.draw(key, x.shape[2:], stream))

    def extra_repr(self) -> str:
        """The settings, for print(model)."""
        return (
            f"cell={self.cell}, brightness={self.brightness}, contrast={self.contrast}, blur={self.blur}, "
            f"alpha={self.alpha}, sigma={self.sigma}, affine={self.affine}, "
            f"prob=({self.brightness_prob}, {self.blur_prob}, {self.elastic_prob})"
        )


def _chosen(mask: Tensor) -> list[slice]:
    """The rows of a batch to work on: the chosen samples one by one, or all at once where asking would wait.

    On a CPU a step is done for the samples that drew it only, each alone: one image fits into a core's own cache, a
    batch does not. An accelerator would have to wait until the mask is known, so there a step is done for the whole
    batch; its parameters leave the samples as they are that did not draw it.
    """
    if mask.device.type != "cpu":
        return [slice(None)]
    return [slice(row, row + 1) for row in mask.nonzero().flatten().tolist()]


def _like(value: Tensor, x: Tensor) -> Tensor:
    """A number per sample, (B,), as one that broadcasts over (B, C, *spatial)."""
    return value.view(-1, *[1] * (x.ndim - 1))


def _blur(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve each sample of (B, C, *spatial) with its own kernel (B, K) along every axis, mirrored at the borders.

    A sum of K shifted copies: on a CPU faster than a convolution, and the same in any number of dimensions.
    """
    n = x.ndim - 2
    if taps.device.type == "cpu":  # leave out what is zero in all kernels; elsewhere the host would have to wait
        spare = (taps.shape[1] - int((taps > 0).any(0).sum())) // 2
        taps = taps[:, spare : taps.shape[1] - spare]
    width = taps.shape[1]
    weight = taps.view(-1, width, *[1] * (n + 1)).unbind(1)
    out = F.pad(x, [width // 2] * (2 * n), mode="reflect")
    for axis in range(2, n + 2):
        side = x.shape[axis]
        total = out.narrow(axis, 0, side) * weight[0]
        for k in range(1, width):
            total.addcmul_(out.narrow(axis, k, side), weight[k])
        out = total
    return out
