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
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_iou
from monai.utils import convert_to_tensor
from torch import Tensor

from .figures import Figures, Row, Statistic

__all__ = ["SegmentationFigures"]

#: two masks (B, K, ...), predicted and true, to (B, K)
Overlap = Callable[[Tensor, Tensor], Tensor]
#: the same, and ``spacing``: one (n,) for each item of the batch, or None
Distance = Callable[..., Tensor]

OVERLAPS: dict[str, Overlap] = {"dice": compute_dice, "iou": compute_iou}
DISTANCES: dict[str, Distance] = {
    "hd95": partial(compute_hausdorff_distance, include_background=True, percentile=95),
    "surface_distance": partial(compute_average_surface_distance, include_background=True, symmetric=True),
}


class SegmentationFigures(Figures):
    """Figures of structures, each in a mask of its own (structures may overlap).

    For each structure, and without its name as the mean over the structures: ``dice``, ``iou``, ``hd95_px`` (95th
    percentile of the Hausdorff distance, the greater of the two directions) and ``surface_distance_px`` (average of
    both directions), all from MONAI; where the batch tells the size of a pixel also ``hd95_mm`` and
    ``surface_distance_mm``. A figure of a structure is the mean over its cases. Rules:

    - A structure that is *not annotated* in an image is left out of everything.
    - The mask is empty (annotated as not there): no overlap and no distance, NaN, left out of the means (MONAI's
      default). ``false_alarm`` is the share of such cases in which something is predicted all the same. To count them
      as 1 and 0, as the SIIM-ACR challenge does, pass ``{"dice": partial(compute_dice, ignore_empty=False)}``.
    - The structure is there but nothing is predicted: overlaps are 0 and the distance, which is infinite, is taken as
      the diagonal of the image, the greatest there could be. ``missed`` is the share of such cases.
    - A structure that is there in no case has NaN; a warning names it once, and it is left out of the mean.

    Distances are measured in the pixels of the masks that are given: compare them at one resolution only.

    Args:
        structures: names, in the order of the channels.
        threshold: probability from which (inclusive) a pixel belongs to a structure, above 0 and at most 1.
        overlaps: figures of two masks by name.
        distances: figures of two masks that are not empty by name; an empty mapping saves their time.
        postprocessing: from the predicted masks (K, ...) of an image, bool, to those that are judged, such as MONAI's
            ``KeepLargestConnectedComponent(is_onehot=True)``; by default they stay as they are.

    Raises:
        ValueError: when ``structures`` is empty or names one twice, or ``threshold`` is out of its range.
    """

    def __init__(
        self,
        structures: Sequence[str],
        threshold: float = 0.5,
        overlaps: Mapping[str, Overlap] | None = None,
        distances: Mapping[str, Distance] | None = None,
        postprocessing: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(structures)
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be a probability above 0 and at most 1, got {threshold}; 0.5 is usual.")
        self.threshold = threshold
        self.overlaps = dict(OVERLAPS if overlaps is None else overlaps)
        self.distances = dict(DISTANCES if distances is None else distances)
        self.postprocessing = postprocessing

    def masks(self, probabilities: Tensor) -> Tensor:
        """The masks that are judged: probabilities cut at the threshold, and postprocessed image by image.

        Args:
            probabilities: (B, K, ...), float in [0, 1].

        Returns:
            (B, K, ...) bool.
        """
        masks = probabilities >= self.threshold
        if self.postprocessing is None:
            return masks
        return torch.stack([torch.as_tensor(self.postprocessing(mask)).bool() for mask in masks])

    def rows(self, probabilities: Tensor, batch: Mapping[str, Any]) -> list[Row]:
        """Figures of each case: ``<figure>/<structure>``, and ``present/`` and ``found/`` (0 or 1, NaN: unknown).

        Args:
            probabilities: (B, K, ...), float in [0, 1], 2-D or 3-D.
            batch: ``label`` (B, K, ...) of 0 and 1; maybe ``annotated`` (B, K) bool, all by default; maybe ``spacing``
                (B, n), mm a pixel along each axis, NaN where unknown.

        Raises:
            ValueError: when a shape is another.
        """
        answer = self.masks(convert_to_tensor(probabilities, device="cpu"))
        truth = convert_to_tensor(batch["label"], device="cpu") > 0.5
        if answer.ndim < 4 or answer.shape[1] != len(self.names) or answer.shape != truth.shape:
            raise ValueError(
                f"probabilities and label must both be (B, {len(self.names)}, H, W) for the structures "
                f"{list(self.names)}, got {tuple(answer.shape)} and {tuple(truth.shape)}."
            )
        told = torch.as_tensor(batch.get("annotated", torch.ones(answer.shape[:2]))).cpu().bool()
        present, found = truth.flatten(2).any(2), answer.flatten(2).any(2)
        table = {"present": present.float(), "found": found.float()}
        for name, overlap in self.overlaps.items():
            table[name] = overlap(answer, truth.float())
        table.update(self._distances(answer, truth, told & present, found, batch.get("spacing")))
        table = {name: torch.where(told, values.double(), math.nan) for name, values in table.items()}
        return [
            {
                f"{figure}/{name}": float(values[case, channel])
                for figure, values in table.items()
                for channel, name in enumerate(self.names)
            }
            for case in range(len(answer))
        ]

    def statistic(self, rows: Sequence[Row]) -> Statistic:
        """The figures of these cases as a function of how often each one counts.

        Args:
            rows: from :meth:`rows`.
        """
        present, found = self.channels(rows, "present"), self.channels(rows, "found")
        columns = {name: self.channels(rows, name) for name in self._names(rows)}
        columns["missed"] = np.where(present == 1, 1 - found, np.nan)
        columns["false_alarm"] = np.where(present == 0, found, np.nan)
        columns = {name: values for name, values in columns.items() if name != "false_alarm" or (present == 0).any()}

        def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
            means = {name: _means(values, weights) for name, values in columns.items()}
            overall = {name: _mean(values[~np.isnan(values)]) for name, values in means.items()}
            by_name = {f"{k}/{name}": float(v) for k, values in means.items() for name, v in zip(self.names, values)}
            return {**overall, **by_name}

        return figures

    def summary(self, rows: Sequence[Row]) -> dict[str, float]:
        """The figures of these cases, NaN where one is not defined.

        Args:
            rows: from :meth:`rows`, at least one.

        Raises:
            ValueError: when there is no row.
        """
        figures = super().summary(rows)
        lacking = [name for name in self.names if any(np.isnan(figures[f"{o}/{name}"]) for o in self.overlaps)]
        self.warn_undefined("the overlap of masks", lacking, f"none of {len(rows)} cases shows the structure")
        return figures

    def _names(self, rows: Sequence[Row]) -> list[str]:
        """Figures that the cases have, those in mm only where a pixel's size is known of some case."""
        units = [f"{name}_px" for name in self.distances]
        for name in self.distances:
            if not np.isnan(self.channels(rows, f"{name}_mm")).all():
                units.append(f"{name}_mm")
        return [*self.overlaps, *units]

    def _distances(
        self, answer: Tensor, truth: Tensor, present: Tensor, found: Tensor, spacing: Tensor | None
    ) -> dict[str, Tensor]:
        """Distances (B, K) of the structures that are there, NaN for the others."""
        unit = torch.ones(len(answer), answer.ndim - 2, dtype=torch.float64)
        scales = {"px": unit}
        if spacing is not None:
            mm = torch.as_tensor(spacing).cpu().double()
            if mm.shape != unit.shape:
                raise ValueError(
                    f"spacing must be {tuple(unit.shape)}, mm a pixel along each axis of each image (NaN: unknown), "
                    f"got {tuple(mm.shape)}."
                )
            scales["mm"] = torch.where((mm > 0).all(1, keepdim=True), mm, math.nan)
        both = (present & found).nonzero()
        table = {}
        for name, distance in self.distances.items():
            for unit_name, scale in scales.items():
                size = torch.tensor(answer.shape[2:]) * scale
                values = torch.where(present, size.norm(dim=1)[:, None], math.nan)
                if known := [(b, k) for b, k in both.tolist() if not scale[b].isnan().any()]:
                    b, k = (list(axis) for axis in zip(*known))
                    masks = (mask[b, k][:, None].float() for mask in (answer, truth))
                    with warnings.catch_warnings():  # MONAI 1.6 warns of an argument that it gives itself
                        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
                        values[b, k] = distance(*masks, spacing=scale[b].tolist())[:, 0].double()
                table[f"{name}_{unit_name}"] = values
        return table


def _means(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weighted mean over the cases (n, K) that are not NaN, (K,)."""
    w = np.where(np.isnan(values), 0.0, weights[:, None])
    with np.errstate(invalid="ignore"):
        means: npt.NDArray[np.float64] = np.where(np.isnan(values), 0.0, values * w).sum(axis=0) / w.sum(axis=0)
    return means


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
