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

import logging
import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from monai_lamps.metrics.anatomy import CaseFigures, dice_figures, structure_figure_names

from .affine import RegistrationError
from .point_map import PointFit, folding_share, resample_by_map
from .register import register

__all__ = ["Registration", "registration"]

_LOGGER = logging.getLogger(__name__)
_DICE = ("dice_before", "dice_after")


def registration(
    fixed: Tensor,
    moving: Tensor,
    fixed_masks: Tensor,
    moving_masks: Tensor,
    structures: Sequence[str],
    fit: PointFit,
    tolerance: float = 1.5,
) -> dict[str, float]:
    """How well the masks of two patients lie upon each other, before and after their alignment by dense features.

    - ``dice_before``, ``dice_before/<structure>``: the moving masks stretched to the size of the fixed image, no more;
    - ``dice_after``, ``dice_after/<structure>``: carried by the map;
    - ``folding``: share of the fixed image where the map folds;
    - ``failed``: 1 if too few matches agree for a map, else 0. Such a pair stays as it was: after equals before, and
      ``folding`` is NaN.

    The masks play no part in the alignment.

    Args:
        fixed: features (D, *grid) of the fixed image.
        moving: features (D, *grid) of the moving image.
        fixed_masks: (K, *fixed image), of 0 and 1.
        moving_masks: (K, *moving image), of 0 and 1.
        structures: K names.
        fit: affine or deformable, see :func:`~monai_lamps.registration.register`.
        tolerance: cells of the moving image.

    Returns:
        the figures; Dice is NaN where the fixed image lacks a structure, and the means go over the others.

    Raises:
        ValueError: when a shape does not fit.
    """
    size, moving_size = fixed_masks.shape[1:], moving_masks.shape[1:]
    before = F.interpolate(moving_masks[None].float(), size=tuple(size), mode="nearest-exact")[0] > 0.5
    figures = dice_figures("dice_before", before, fixed_masks, structures)
    try:
        found = register(fixed, moving, size, moving_size, fit, tolerance)
    except RegistrationError as error:
        _LOGGER.warning("a pair of images was left as it is: %s", error)
        after, folding, failed = before, math.nan, 1.0
    else:
        after = resample_by_map(moving_masks.cpu().float(), found, size, "nearest", "zeros") > 0.5
        folding, failed = folding_share(found, size), 0.0
    figures |= dice_figures("dice_after", after, fixed_masks, structures)
    return figures | {"folding": folding, "failed": failed}


class Registration(CaseFigures):
    """:func:`registration` of one pair of patients after another, and the means over the pairs.

    Args:
        structures: names, in the order of the masks.
        fit: affine or deformable.
        tolerance: cells of the moving image.
    """

    def __init__(self, structures: Sequence[str], fit: PointFit, tolerance: float = 1.5) -> None:
        super().__init__([*structure_figure_names(_DICE, structures), "folding", "failed"])
        self.structures = tuple(structures)
        self.fit = fit
        self.tolerance = tolerance

    def __call__(
        self, fixed: Tensor, moving: Tensor, fixed_masks: Tensor, moving_masks: Tensor, patient: object = None
    ) -> dict[str, float]:
        """Judge one pair by :func:`registration`; ``patient`` is for the intervals."""
        figures = registration(fixed, moving, fixed_masks, moving_masks, self.structures, self.fit, self.tolerance)
        self.add(figures, patient)
        return figures
