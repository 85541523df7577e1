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
"""Dense correspondence across patients: annotations of a few are carried to the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from monai_lamps.metrics.anatomy import LandmarkTemplate, landmark_transfer, transfer_landmarks
from monai_lamps.reports import draw_matches

from .probe import Examination, Finding, Note, NotJudgedError, Probe, mean_of
from .warp import POINT_NOTES

__all__ = ["LandmarkTransferProbe", "choose_templates"]


class LandmarkTransferProbe(Probe):
    """Finds the landmarks of a few annotated radiographs in those of other patients, without any training.

    Args:
        templates: how many are annotated.
        thresholds: px of the resized radiograph, increasing.
    """

    name = "landmark transfer"
    about = (
        "Landmarks of a few annotated radiographs are looked for in those of other patients by the cosine of dense "
        "features, without any training; of the places that the templates give, the mean is taken."
    )
    notes = {
        **POINT_NOTES,
        "copied_px": Note("", "mean distance when each landmark's mean place is copied, which needs no encoder."),
    }

    def __init__(self, templates: int = 5, thresholds: Sequence[float] = (16.0, 32.0)) -> None:
        self.templates, self.thresholds = templates, tuple(thresholds)

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when there are too few radiographs with landmarks.
        """
        cases, side = examination.cases, examination.image_size
        size, names = (side, side), list(dict.fromkeys(name for case in cases for name in case.points))
        annotated = [number for number, case in enumerate(cases) if case.points]
        chosen, asked = choose_templates(examination, annotated, self.templates, "landmarks (--landmarks)")
        points = {number: _positions(cases[number].points, names, side) for number in (*chosen, *asked)}
        templates = [LandmarkTemplate(examination.maps[number], points[number], size) for number in chosen]
        rows: list[dict[str, float]] = [{} for _ in cases]
        for number in asked:
            rows[number] = landmark_transfer(
                templates, examination.maps[number], points[number], size, thresholds=self.thresholds
            )
        picture = self._picture(examination, templates, chosen[0], asked[0], points[asked[0]])
        return Finding(mean_of(rows), pictures={"an annotated radiograph and another patient's": picture})

    def _picture(
        self, examination: Examination, templates: list[LandmarkTemplate], start: int, end: int, truth: Tensor
    ) -> Image.Image:
        side = examination.image_size
        found = transfer_landmarks(templates, examination.maps[end], (side, side))
        points = templates[0].points
        both = ~(points + found + truth).isnan().any(1)
        good = (found - truth).norm(dim=1)[both] <= self.thresholds[-1]
        here, there = ((places[both] + 0.5) / side for places in (points, found))
        return draw_matches(examination.images[start], examination.images[end], here, there, good.tolist())


def choose_templates(
    examination: Examination, annotated: Sequence[int], count: int, what: str
) -> tuple[list[int], list[int]]:
    """Divide annotated radiographs into templates, the first of ``count`` patients, and those of all other patients.

    Args:
        examination: with the radiographs.
        annotated: numbers of those with annotations.
        count: number of templates, at least 1; fewer where no patient would be left.
        what: the annotations, for the error.

    Returns:
        numbers of the templates, and of the radiographs to carry annotations to.

    Raises:
        NotJudgedError: when there are not two patients with annotations.
    """
    patients = [examination.cases[number].patient for number in annotated]
    order = list(dict.fromkeys(patients))
    if len(order) < 2:
        raise NotJudgedError(f"it needs {what} in two patients, got {len(order)}.")
    owners = order[: min(count, len(order) - 1)]
    return (
        [annotated[patients.index(owner)] for owner in owners],
        [number for number, patient in zip(annotated, patients) if patient not in owners],
    )


def _positions(points: dict[str, tuple[float, float]], names: Sequence[str], side: int) -> Tensor:
    """(N, 2) px, NaN where a landmark is not known."""
    unknown = (float("nan"), float("nan"))
    return torch.tensor([points.get(name, unknown) for name in names]) * side - 0.5
