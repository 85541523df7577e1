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

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import mean_over_cases, share_above
from .embedding_metric import EmbeddingMetric
from .vectors import cosine, unit_vectors

__all__ = ["Symmetry", "symmetry", "symmetry_statistic"]


def symmetry(left: Tensor, right: Tensor, right_flipped: Tensor) -> dict[str, float]:
    """Whether a structure is more like the mirror image of its counterpart on the other side than like the counterpart.

    The property that Adam-v2 (CVPR 2024) names symmetry; the numbers are ours.

    Args:
        left: (N, D), float: embeddings of patches on one side.
        right: (N, D), float: of the patches at the mirrored places.
        right_flipped: (N, D), float: of the latter, flipped left to right.

    Returns:
        - ``flipped_cosine``: mean cosine of left and flipped right, -1 to 1 (perfect);
        - ``unflipped_cosine``: of left and right as it is, the control;
        - ``gap``: the former minus the latter; 0 for a constant encoder and for one that flips do not change;
        - ``above_unflipped``: share of patches that are nearer to the flipped one; 0.5 by chance.

    Raises:
        ValueError: when shapes do not fit or a value is not finite.
    """
    return symmetry_statistic(left, right, right_flipped)(np.ones(len(left)))


def symmetry_statistic(left: Tensor, right: Tensor, right_flipped: Tensor) -> Statistic:
    """The figures of :func:`symmetry` as a function of how often each pair counts.

    Args:
        left: (N, D), float.
        right: (N, D), float.
        right_flipped: (N, D), float.

    Raises:
        ValueError: as :func:`symmetry`.
    """
    flipped, unflipped = _cosines(left, right, right_flipped)
    above = share_above(flipped, unflipped)

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        near, far = mean_over_cases(flipped, weights), mean_over_cases(unflipped, weights)
        return {
            "flipped_cosine": near,
            "unflipped_cosine": far,
            "gap": near - far,
            "above_unflipped": mean_over_cases(above, weights),
        }

    return figures


class Symmetry(EmbeddingMetric):
    """Metric class of :func:`symmetry`."""

    def __call__(
        self,
        left: Tensor,
        right: Tensor,
        right_flipped: Tensor,
        groups: Sequence[object] | Tensor | None = None,
    ) -> Tensor:
        """Keep a batch of pairs of patches.

        Args:
            left: (B, D), float.
            right: (B, D), float.
            right_flipped: (B, D), float.
            groups: patient of each pair, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.

        Returns:
            cosine of left and flipped right minus that of left and right, (B,).
        """
        flipped, unflipped = _cosines(left, right, right_flipped)
        self.gather(left, right, right_flipped, groups=groups)
        return flipped - unflipped

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`symmetry_statistic`."""
        left, right, right_flipped, _ = gathered
        return symmetry_statistic(left, right, right_flipped)


def _cosines(left: Tensor, right: Tensor, right_flipped: Tensor) -> tuple[Tensor, Tensor]:
    require_shape(left, "left", "(N, D)", (None, None))
    require_shape(right, "right", "(N, D)", tuple(left.shape))
    require_shape(right_flipped, "right_flipped", "(N, D)", tuple(left.shape))
    here = unit_vectors(left, "left")
    return cosine(here, unit_vectors(right_flipped, "right_flipped")), cosine(here, unit_vectors(right, "right"))
