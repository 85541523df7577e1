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
"""Dense correspondence in one patient: places are found again in a warped copy of the radiograph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from monai_lamps.data.keys import derive_seed
from monai_lamps.metrics.anatomy import correspondence, inside, match_descriptors, sample_features
from monai_lamps.reports import draw_matches
from monai_lamps.transforms.known_warp import KnownWarp, RandKnownWarp

from .probe import Examination, Finding, Note, Probe, mean_of

__all__ = ["POINT_NOTES", "WarpProbe"]

POINT_NOTES = {
    "error_px": Note("less", "mean distance of the place found and the true one, px of the resized radiograph."),
    "error_median_px": Note("less", "its median, mean over radiographs."),
    "nme_side": Note("less", "mean distance in shares of the radiograph's side."),
    "nme_diagonal": Note("less", "mean distance in shares of the radiograph's diagonal."),
    "pck_*": Note("more", "share of points found within so many px."),
}
"""How distances of points are read."""

_SHOWN = 6  # of the grid's points along each axis


class WarpProbe(Probe):
    """Warps each radiograph, affine and elastic, and looks for the points of a grid in the copy.

    Args:
        warp: draws the deformations.
        grid: points along each axis of the radiograph.
        thresholds: px of the resized radiograph, increasing.
        seed: decides the deformations.
    """

    name = "warp"
    about = (
        "Each radiograph is warped at random, affine and elastic, so that the true place of every point is known. "
        "Points of a grid are looked for in the warped copy by the cosine of dense features."
    )
    notes = {
        **POINT_NOTES,
        "mutual_share": Note("more", "share of points that are found again from where they were found."),
        "inlier_share": Note("more", "share of those that are right."),
        "chance_px": Note("", "mean distance of an answer drawn at random."),
        "stay_px": Note("", "mean distance when the same place is always named, which needs no encoder."),
    }

    def __init__(
        self,
        warp: RandKnownWarp | None = None,
        grid: int = 12,
        thresholds: Sequence[float] = (16.0, 32.0),
        seed: int = 0,
    ) -> None:
        self.warp, self.grid, self.thresholds, self.seed = warp or RandKnownWarp(), grid, tuple(thresholds), seed

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class."""
        size = (examination.image_size, examination.image_size)
        warps = [self._draw(number, size) for number in range(len(examination.cases))]
        warped = torch.stack([warp.apply(image) for warp, image in zip(warps, examination.images)])
        axis = (torch.arange(self.grid) + 0.5) / self.grid * size[0] - 0.5
        points = torch.cartesian_prod(axis, axis).double()
        maps = examination.subject.maps(warped)
        rows = [
            correspondence(here, there, points, warp.to_warped(points), size, self.thresholds)
            for warp, here, there in zip(warps, examination.maps, maps)
        ]
        picture = self._picture(examination, warps[0], warped[0], maps[0])
        return Finding(mean_of(rows), pictures={"a radiograph and its warped copy": picture})

    def _draw(self, number: int, size: tuple[int, int]) -> KnownWarp:
        self.warp.set_random_state(seed=derive_seed(self.seed, number) % 2**32)
        self.warp.randomize(size)
        assert self.warp.drawn is not None
        return self.warp.drawn

    def _picture(self, examination: Examination, warp: KnownWarp, warped: Tensor, features: Tensor) -> Image.Image:
        side = examination.image_size
        axis = (torch.arange(_SHOWN) + 0.5) / _SHOWN * side - 0.5
        points = torch.cartesian_prod(axis, axis)
        truth = warp.to_warped(points)
        points, truth = (places[inside(truth, (side, side))] for places in (points, truth))
        descriptors = sample_features(examination.maps[0], points, (side, side))
        found = match_descriptors(descriptors, features, (side, side)).points
        good = (found - truth).norm(dim=1) <= self.thresholds[-1]
        start, end = ((places + 0.5) / side for places in (points, found))
        return draw_matches(examination.images[0], warped, start, end, good.tolist())
