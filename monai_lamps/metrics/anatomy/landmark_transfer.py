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
"""Landmarks of a few annotated patients carried to another one by dense features, without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .case_figures import CaseFigures
from .dense_grid import sample_features
from .matching import match_descriptors
from .point_errors import THRESHOLDS, point_errors, point_figure_names

__all__ = [
    "LandmarkTemplate",
    "LandmarkTransfer",
    "best_of_matches",
    "copy_landmarks",
    "landmark_transfer",
    "mean_of_matches",
    "transfer_landmarks",
]

#: places (k, N, n) from k templates and their cosines (k, N), both NaN where a template lacks the landmark, to (N, n)
Combine = Callable[[Tensor, Tensor], Tensor]

_EXTRA = ("copied_px",)


@dataclass(frozen=True)
class LandmarkTemplate:
    """An annotated image.

    Args:
        features: (D, *grid), float.
        points: (N, n), px: (row, column[, slice]); NaN where a landmark is not annotated. Landmark i is the same one in
            every image.
        image_size: sides of the image, px.
    """

    features: Tensor
    points: Tensor
    image_size: Sequence[int]


def mean_of_matches(points: Tensor, similarity: Tensor) -> Tensor:
    """The mean place over the templates that have the landmark.

    Args:
        points: (k, N, n), px.
        similarity: (k, N), cosines, not used.

    Returns:
        (N, n), NaN where no template has it.
    """
    return points.nanmean(0)


def best_of_matches(points: Tensor, similarity: Tensor) -> Tensor:
    """The place from the template that resembles the image most at this landmark.

    Args:
        points: (k, N, n), px.
        similarity: (k, N), cosines, NaN where a template lacks the landmark.

    Returns:
        (N, n), NaN where no template has it.
    """
    best = similarity.nan_to_num(nan=-math.inf).argmax(0)
    return points[best, torch.arange(points.shape[1], device=points.device)]


def transfer_landmarks(
    templates: Sequence[LandmarkTemplate],
    features: Tensor,
    image_size: Sequence[int],
    combine: Combine = mean_of_matches,
) -> Tensor:
    """Find the landmarks of annotated images in another one.

    Args:
        templates: k annotated images of other patients.
        features: (D, *grid), float, of the image without annotation.
        image_size: its sides, px.
        combine: what the k places of a landmark become, :func:`mean_of_matches` or :func:`best_of_matches`.

    Returns:
        (N, n) px, NaN where no template has the landmark.

    Raises:
        ValueError: when there is no template, they differ in their number of landmarks, or a shape does not fit.
    """
    _check(templates)
    points, similarity = [], []
    for template in templates:
        descriptors = sample_features(template.features, template.points.nan_to_num(), template.image_size)
        matches = match_descriptors(descriptors, features, image_size)
        missing = template.points.isnan().any(1).to(matches.points.device)
        points.append(matches.points.masked_fill(missing[:, None], math.nan))
        similarity.append(matches.similarity.masked_fill(missing, math.nan))
    return combine(torch.stack(points), torch.stack(similarity))


def copy_landmarks(templates: Sequence[LandmarkTemplate], image_size: Sequence[int]) -> Tensor:
    """The control without features: each landmark at its mean place in the templates, in shares of the image's sides.

    Args:
        templates: k annotated images.
        image_size: sides of the image without annotation, px.

    Returns:
        (N, n) px, NaN where no template has the landmark.

    Raises:
        ValueError: when there is no template, or they differ in their number of landmarks.
    """
    _check(templates)
    size = torch.tensor(image_size, dtype=torch.float32)
    shares = [(t.points.cpu().float() + 0.5) / torch.tensor(t.image_size) for t in templates]
    return torch.stack(shares).nanmean(0) * size - 0.5


def landmark_transfer(
    templates: Sequence[LandmarkTemplate],
    features: Tensor,
    truth: Tensor,
    image_size: Sequence[int],
    combine: Combine = mean_of_matches,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, float]:
    """How far landmarks carried from annotated patients lie from those of this patient.

    The figures are those of :func:`~monai_lamps.metrics.anatomy.point_errors`, and ``copied_px``, the mean error of
    :func:`copy_landmarks`: radiographs are taken in much the same way, and features earn what they gain over that.

    Args:
        templates: k annotated images of other patients.
        features: (D, *grid), float, of this patient's image.
        truth: (N, n), px, NaN where a landmark is not annotated: it is left out, as is one that no template has.
        image_size: sides of this image, px.
        combine: what the k places of a landmark become.
        thresholds: px, increasing.

    Returns:
        the figures; all NaN when no landmark is left.

    Raises:
        ValueError: when there is no template, or a shape does not fit.
    """
    found = transfer_landmarks(templates, features, image_size, combine)
    figures = point_errors(found, truth, image_size, thresholds)
    copied = copy_landmarks(templates, image_size)
    return figures | {"copied_px": point_errors(copied, truth.cpu(), image_size)["error_px"]}


class LandmarkTransfer(CaseFigures):
    """:func:`landmark_transfer` to one patient after another, and the means over the patients.

    Args:
        combine: what the places of a landmark become, from the templates.
        thresholds: px, increasing.

    Raises:
        ValueError: when the thresholds are not positive and increasing.
    """

    def __init__(self, combine: Combine = mean_of_matches, thresholds: Sequence[float] = THRESHOLDS) -> None:
        super().__init__([*point_figure_names(thresholds), *_EXTRA])
        self.combine = combine
        self.thresholds = tuple(thresholds)

    def __call__(
        self,
        templates: Sequence[LandmarkTemplate],
        features: Tensor,
        truth: Tensor,
        image_size: Sequence[int],
        patient: object = None,
    ) -> dict[str, float]:
        """Judge one patient by :func:`landmark_transfer`; ``patient`` is for the intervals."""
        figures = landmark_transfer(templates, features, truth, image_size, self.combine, self.thresholds)
        self.add(figures, patient)
        return figures


def _check(templates: Sequence[LandmarkTemplate]) -> None:
    if not templates:
        raise ValueError("landmarks are carried from at least 1 annotated image, got none.")
    shapes = {tuple(template.points.shape) for template in templates}
    if len(shapes) > 1:
        raise ValueError(
            f"all templates must have the same landmarks, got points of {sorted(shapes)}; put NaN where one is missing."
        )
