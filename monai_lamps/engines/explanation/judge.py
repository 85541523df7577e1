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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_lamps.engines.anatomy import Note, mean_of
from monai_lamps.metrics import Row, Statistic
from monai_lamps.metrics.evidence import (
    THRESHOLDS,
    Baseline,
    Blurred,
    Constant,
    PixelRanking,
    best_threshold_statistic,
    curve_area,
    deletion_curve,
    dice_at,
    dice_by_threshold,
    energy_inside,
    evidence_correlation_statistic,
    evidence_mass,
    insertion_curve,
    iou_at,
    pointing_game,
    scaled_by_maximum,
)

__all__ = ["NOTES", "Judge"]

#: how figures are read
NOTES: Mapping[str, Note] = {
    "pointing_game": Note("more", "share of the images whose strongest evidence lies inside the truth."),
    "pixel_auroc": Note("more", "how well a map tells pixels inside from those outside; 0.5 is chance."),
    "pixel_average_precision": Note("more", "the same with regard to how few pixels are inside."),
    "energy_inside": Note("more", "share of the evidence that lies inside."),
    "dice": Note("more", "Dice of what exceeds a share of the map's maximum (0.5 unless set otherwise)."),
    "iou": Note("more", "intersection over union of the same."),
    "best_dice": Note("more", "Dice at the threshold that is best for these very images: a bound, not a forecast."),
    "best_threshold": Note("", "that threshold, as a share of each map's maximum."),
    "deletion": Note("less", "mean probability while the strongest evidence is hidden first."),
    "insertion": Note("more", "mean probability while the strongest evidence is shown first."),
    "evidence_correlation": Note(
        "more", "rank correlation of the probability with the mean of the map, over all images, also healthy ones."
    ),
}
_BEST = "dice at {:g}"


@dataclass(frozen=True)
class Judge:
    """Measures explanations: where they point, whether the network follows them, whether they agree with it.

    Args:
        tolerance: of the pointing game, px of the network's images.
        threshold: share of a map's maximum above which a pixel counts as evidence, for Dice and IoU.
        curve_steps: steps of the deletion and insertion curves; 0 leaves both out, which saves most of the time.
        deletion: what takes the place of hidden pixels.
        insertion: what is there before pixels are shown.

    Raises:
        ValueError: when an argument is out of its range.
    """

    tolerance: float = 0.0
    threshold: float = 0.5
    curve_steps: int = 10
    deletion: Baseline = field(default_factory=Constant)
    insertion: Baseline = field(default_factory=Blurred)

    def __post_init__(self) -> None:
        if not self.tolerance >= 0 or not 0 < self.threshold <= 1 or self.curve_steps < 0:
            raise ValueError(
                f"tolerance got {self.tolerance}, threshold {self.threshold} and curve_steps {self.curve_steps}, "
                "expected at least 0 px, a share above 0 and at most 1, and at least 0 steps."
            )

    def rows(
        self, maps: Tensor, masks: Tensor, images: Tensor, score: Callable[[Tensor], Tensor], probabilities: Tensor
    ) -> list[Row]:
        """What the explanation of each image of a batch shows.

        Args:
            maps: (B, 1, *spatial), float, at least 0.
            masks: (B, 1, *spatial), bool; an image without any true pixel has probability and mass alone.
            images: normalised, (B, C, *spatial).
            score: from images to the probability (B,) of the class that is explained.
            probabilities: what it gives for these, (B,).

        Returns:
            a row for each image, figures by name.

        Raises:
            ValueError: when a shape does not fit, or a map is negative or not finite.
        """
        seen = zip(probabilities.tolist(), evidence_mass(maps).tolist())
        rows: list[Row] = [{"probability": probability, "evidence_mass": mass} for probability, mass in seen]
        known = masks.flatten(1).any(dim=1).nonzero()[:, 0].cpu()
        if len(known):
            maps, masks, images = (part[known.to(part.device)] for part in (maps, masks, images))
            found = {**self._places(maps, masks), **self._curves(maps, images, score)}
            for place, number in enumerate(known.tolist()):
                rows[number].update({name: float(values[place]) for name, values in found.items()})
        return rows

    def statistic(self, rows: Sequence[Row]) -> Statistic:
        """The figures of an explainer as a function of how often each image counts.

        Args:
            rows: from :meth:`rows`.
        """
        thresholds = [_BEST.format(threshold) for threshold in THRESHOLDS]
        apart = {"probability", "evidence_mass", *thresholds}
        means = mean_of([{name: row[name] for name in row if name not in apart} for row in rows])
        best = best_threshold_statistic(_column(rows, thresholds), THRESHOLDS)
        seen = _column(rows, ["probability", "evidence_mass"])
        correlation = evidence_correlation_statistic(seen[:, 0], seen[:, 1])

        def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
            found = {**means(weights), **best(weights), **correlation(weights)}
            return {name: found[name] for name in NOTES if name in found}

        return figures

    def shown(self, row: Row) -> Row:
        """A row without what only serves to find the best threshold, for a table of cases."""
        return {name: value for name, value in row.items() if not name.startswith(_BEST.split("{")[0])}

    def _places(self, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
        scaled = scaled_by_maximum(maps)
        by_threshold = dice_by_threshold(maps, masks)
        return {
            "pointing_game": pointing_game(maps, masks, self.tolerance),
            **PixelRanking().figures(maps, masks),
            "energy_inside": energy_inside(maps, masks),
            "dice": dice_at(scaled, masks, self.threshold),
            "iou": iou_at(scaled, masks, self.threshold),
            **{_BEST.format(threshold): by_threshold[:, number] for number, threshold in enumerate(THRESHOLDS)},
        }

    def _curves(self, maps: Tensor, images: Tensor, score: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        if not self.curve_steps:
            return {}
        hidden = deletion_curve(score, images, maps, self.curve_steps, self.deletion)
        shown = insertion_curve(score, images, maps, self.curve_steps, self.insertion)
        return {"deletion": curve_area(hidden), "insertion": curve_area(shown)}


def _column(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Tensor:
    values = [[row.get(name, float("nan")) for name in names] for row in rows]
    return torch.tensor(values, dtype=torch.float64).reshape(len(rows), len(names))
