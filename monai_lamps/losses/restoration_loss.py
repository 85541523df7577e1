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
"""How well an image was restored to its healthy counterpart, on lesions and elsewhere."""

from __future__ import annotations

import torch
from monai.losses import SSIMLoss
from torch.nn.modules.loss import _Loss

from .shapes import require_shape

__all__ = ["RestorationLoss", "cell_errors", "chosen_mean"]


class RestorationLoss(_Loss):
    """Squared error on cells with a lesion and on all others, each with its own mean, and structural similarity.

    ``L = lesion_weight * mean of (r - x)^2 on lesion cells + mean of (r - x)^2 elsewhere + ssim_weight (1 - SSIM)``.

    Task I of RadLAS (ACM MM 2025); its paper is not public, so the form is our choice: AFiRe (arXiv 2504.10972) takes
    the squared error of the whole image, DRAEM (arXiv 2108.07610) adds SSIM. The absolute error (SimMIM) was tried and
    does not serve a network that corrects images: most pixels are healthy, so its optimum, the median, is for long to
    correct nothing. With a mean of their own, small lesions count as much as the rest of the image. Every sample counts
    the same, so that the average over processes is what one process would have; a sample without lesion cells has only
    the second term, and one without others only the first.

    Args:
        lesion_weight: of the lesion cells, >= 0.
        ssim_weight: of the structural similarity, >= 0; 0 leaves it out.
        value_range: smallest and largest value of the images, which SSIM needs; of normalised images
            ``(-mean / std, (1 - mean) / std)``.
        spatial_dims: 2 or 3.

    Raises:
        ValueError: when a weight is negative or the range is empty.
    """

    def __init__(
        self,
        lesion_weight: float = 1.0,
        ssim_weight: float = 0.1,
        value_range: tuple[float, float] = (0.0, 1.0),
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if lesion_weight < 0 or ssim_weight < 0:
            raise ValueError(f"weights must not be negative, got {lesion_weight} and {ssim_weight}.")
        if not value_range[0] < value_range[1]:
            raise ValueError(f"value_range must be (low, high) with low < high, got {tuple(value_range)}.")
        self.lesion_weight, self.ssim_weight, self.value_range = lesion_weight, ssim_weight, tuple(value_range)
        self.ssim = SSIMLoss(spatial_dims)

    def forward(self, restored: torch.Tensor, healthy: torch.Tensor, lesion_cells: torch.Tensor) -> torch.Tensor:
        """Compute the loss, in float32 also under autocast.

        Args:
            restored: (B, C, *spatial), float.
            healthy: (B, C, *spatial), float, in ``value_range``.
            lesion_cells: (B, N), bool, row-major: cells that the lesion touches; they divide the image evenly.

        Returns:
            scalar float32, >= 0.

        Raises:
            ValueError: when shapes do not fit.
        """
        with torch.autocast(restored.device.type, enabled=False):
            restored, healthy = restored.float(), healthy.float()
            errors = cell_errors(restored, healthy, lesion_cells.shape[1], power=2)
            require_shape(lesion_cells, "lesion_cells", "(B, N)", tuple(errors.shape))
            loss = self.lesion_weight * chosen_mean(errors, lesion_cells) + chosen_mean(errors, ~lesion_cells)
            if self.ssim_weight:
                low, high = self.value_range
                similarity = self.ssim((restored - low) / (high - low), (healthy - low) / (high - low))
                loss = loss + self.ssim_weight * similarity
            return loss


def cell_errors(restored: torch.Tensor, healthy: torch.Tensor, cells: int, power: int = 1) -> torch.Tensor:
    """Mean error in every cell.

    Args:
        restored: (B, C, *spatial), float.
        healthy: the same shape.
        cells: N; the grid has the proportions of the image.
        power: 1 for the absolute, 2 for the squared error.

    Returns:
        (B, N), float, row-major.

    Raises:
        ValueError: when shapes differ, or N cells do not divide the image into squares (cubes).
    """
    require_shape(healthy, "healthy", "(B, C, *spatial)", tuple(restored.shape))
    size = restored.shape[2:]
    side = round((size.numel() / cells) ** (1 / len(size)))
    if side < 1 or any(length % side for length in size) or size.numel() != cells * side ** len(size):
        raise ValueError(f"{cells} cells do not divide images of {tuple(size)} px evenly; give those of the encoder.")
    error = (restored - healthy).abs().pow(power).mean(dim=1)
    for axis in range(len(size)):
        error = error.unflatten(1 + 2 * axis, (-1, side))
    inner = tuple(range(2, 2 + 2 * len(size), 2))
    return error.mean(dim=inner).flatten(1)


def chosen_mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Mean over the chosen cells of each sample, 0 where none is, then over the samples.

    Args:
        values: (B, N), float.
        chosen: (B, N), bool.

    Returns:
        scalar, float.
    """
    per_sample = torch.where(chosen, values, 0.0).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)
    return per_sample.mean()
