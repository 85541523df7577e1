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

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from monai_lamps.metrics.anatomy import CaseFigures

from .baselines import Baseline, Blurred, Constant
from .flat_pairs import check_pairs

__all__ = ["PerturbationCurves", "Score", "curve_area", "deletion_curve", "insertion_curve"]

#: from images (B, C, *spatial) to the probability (B,) of the class that is explained
Score = Callable[[Tensor], Tensor]


def deletion_curve(
    score: Score, images: Tensor, maps: Tensor, steps: int = 10, baseline: Baseline | None = None
) -> Tensor:
    """How the probability falls while pixels are hidden, the strongest evidence first (RISE, arXiv 1806.07421).

    Pixels of equal evidence come in an order that is random but always the same, so that a constant map hides them
    without a plan.

    Args:
        score: probability of the class that is explained.
        images: as the score takes them, (B, C, *spatial), float.
        maps: (B, 1, *spatial), float, at least 0.
        steps: number of steps from the whole image to nothing of it, at least 1.
        baseline: what takes the place of hidden pixels; ``Constant(0)`` by default, as published.

    Returns:
        (B, steps + 1) float64: the probability after each step, beginning with the untouched image.

    Raises:
        ValueError: when a shape does not fit, a map is negative or not finite, or ``steps`` is below 1.
    """
    return _curve(score, images, (baseline or Constant())(images), maps, steps)


def insertion_curve(
    score: Score, images: Tensor, maps: Tensor, steps: int = 10, baseline: Baseline | None = None
) -> Tensor:
    """How the probability rises while pixels are shown, the strongest evidence first (RISE, arXiv 1806.07421).

    Args:
        score: probability of the class that is explained.
        images: as the score takes them, (B, C, *spatial), float.
        maps: (B, 1, *spatial), float, at least 0.
        steps: number of steps from nothing of the image to the whole one, at least 1.
        baseline: what is there before pixels are shown; ``Blurred()`` by default.

    Returns:
        (B, steps + 1) float64: the probability after each step, ending with the untouched image.

    Raises:
        ValueError: when a shape does not fit, a map is negative or not finite, or ``steps`` is below 1.
    """
    return _curve(score, (baseline or Blurred())(images), images, maps, steps)


def curve_area(curves: Tensor) -> Tensor:
    """Area under curves (B, n) whose points are evenly spaced from 0 to 1, (B,)."""
    return ((curves[:, 1:] + curves[:, :-1]) / 2).mean(dim=1)


class PerturbationCurves(CaseFigures):
    """Areas under the deletion and the insertion curve of many images; figures ``deletion`` and ``insertion``.

    Less is better for deletion, more for insertion. Neither asks where anything is in truth: they tell whether an
    explanation is faithful to the network, right or wrong.

    Args:
        steps: see :func:`deletion_curve`; each image costs 2 * (steps + 1) answers of the network.
        deletion: what takes the place of hidden pixels, ``Constant(0)`` by default.
        insertion: what is there before pixels are shown, ``Blurred()`` by default.

    Raises:
        ValueError: when ``steps`` is below 1.
    """

    def __init__(self, steps: int = 10, deletion: Baseline | None = None, insertion: Baseline | None = None) -> None:
        super().__init__(["deletion", "insertion"])
        _check_steps(steps)
        self.steps, self.deletion, self.insertion = steps, deletion or Constant(), insertion or Blurred()

    def __call__(
        self, score: Score, images: Tensor, maps: Tensor, patients: Sequence[object] | None = None
    ) -> dict[str, Tensor]:
        """Judge a batch and keep it.

        Args:
            score: probability of the class that is explained.
            images: as the score takes them, (B, C, *spatial), float.
            maps: (B, 1, *spatial), float, at least 0.
            patients: patient of each image; an image that names none is a patient of its own.

        Returns:
            areas (B,) by name.
        """
        found = {
            "deletion": curve_area(deletion_curve(score, images, maps, self.steps, self.deletion)),
            "insertion": curve_area(insertion_curve(score, images, maps, self.steps, self.insertion)),
        }
        for number in range(len(images)):
            row = {name: float(values[number]) for name, values in found.items()}
            self.add(row, patients[number] if patients is not None else None)
        return found


def _curve(score: Score, start: Tensor, end: Tensor, maps: Tensor, steps: int) -> Tensor:
    """Scores on the way from one picture to another, pixels changed in the order of the evidence."""
    _check_steps(steps)
    if start.shape[:1] != maps.shape[:1] or start.shape[2:] != maps.shape[2:]:
        raise ValueError(f"images and maps must be of the same size, got {tuple(start.shape)} and {tuple(maps.shape)}.")
    values = check_pairs(maps, maps > 0)[0].flatten(1)
    place = _places(values).view(maps.shape).to(start.device)
    points = [place < round(values.shape[1] * step / steps) for step in range(steps + 1)]
    with torch.no_grad():
        return torch.stack([score(torch.where(point, end, start)).double().cpu() for point in points], dim=1)


def _places(values: Tensor) -> Tensor:
    """Place of each pixel when the strongest evidence comes first, (B, P) int64."""
    mixed = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(0))
    order = mixed[values[:, mixed].argsort(dim=1, descending=True, stable=True)]
    return torch.empty_like(order).scatter_(1, order, torch.arange(values.shape[1]).expand_as(order))


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}; 10 is enough for an area.")
