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
import torch
import torch.nn.functional as F
from torch import Tensor

from monai_lamps.losses.shapes import require_shape
from monai_lamps.metrics.figures import Statistic

from .cases import groups_of, mean_over_cases, share_above
from .density import gaussian_density
from .embedding_metric import EmbeddingMetric
from .vectors import cosine, unit_vectors

__all__ = ["Compositionality", "compositionality", "compositionality_statistic", "part_cosines", "shuffled_cosines"]


def compositionality(
    whole: Tensor, parts: Tensor, groups: Sequence[object] | Tensor | None = None, seed: int = 0
) -> dict[str, float]:
    """Whether the embedding of a whole points where the sum of the embeddings of its parts does.

    The protocol of Adam (arXiv 2309.15358, section 3.4): a random patch, cut into 2, 3 or 4 parts, each resized to the
    input's size; the cosine of E(whole) and the sum of E(part). The paper shows the distribution alone, by which a
    constant encoder would be the best: every cosine is 1. So the same is done with parts of other patients.

    Args:
        whole: (N, D), float, one patch a row.
        parts: (N, P, D), float, its P parts.
        groups: patient of each patch, see :func:`~monai_lamps.metrics.anatomy.group_numbers`.
        seed: decides whose parts are the control.

    Returns:
        - ``mean``, ``sd``: of the cosines, -1 to 1 (perfect);
        - ``full_width``: full width at half maximum of their density (Gaussian kernels);
        - ``control_mean``: mean cosine with parts of other patients;
        - ``gap``: mean minus control_mean; 0 for a constant encoder;
        - ``above_control``: share of patches that are nearer to their own parts; 0.5 by chance and for a constant.

        Without a second patient the last three are NaN.

    Raises:
        ValueError: when shapes do not fit, there is no case, or a value is not finite.
    """
    return compositionality_statistic(whole, parts, groups, seed)(np.ones(len(whole)))


def compositionality_statistic(
    whole: Tensor, parts: Tensor, groups: Sequence[object] | Tensor | None = None, seed: int = 0
) -> Statistic:
    """The figures of :func:`compositionality` as a function of how often each patch counts.

    Args:
        whole: as for :func:`compositionality`, and so are the others.
        parts: (N, P, D).
        groups: (N,).
        seed: decides whose parts are the control.

    Raises:
        ValueError: as :func:`compositionality`.
    """
    own, control = part_cosines(whole, parts), shuffled_cosines(whole, parts, groups, seed)
    above = share_above(own, control)

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        mean, control_mean = mean_over_cases(own, weights), mean_over_cases(control, weights)
        return {
            "mean": mean,
            "sd": mean_over_cases((own - mean) ** 2, weights) ** 0.5,
            "full_width": gaussian_density(own.numpy(), weights).full_width if weights.any() else float("nan"),
            "control_mean": control_mean,
            "gap": mean - control_mean,
            "above_control": mean_over_cases(above, weights),
        }

    return figures


def part_cosines(whole: Tensor, parts: Tensor) -> Tensor:
    """Cosine of each whole and the sum of its parts' embeddings, as they are (not of length 1).

    Args:
        whole: (N, D), float, N at least 1.
        parts: (N, P, D), float.

    Returns:
        (N,), float64 on the CPU.

    Raises:
        ValueError: when shapes do not fit, there is no case, or a value is not finite.
    """
    require_shape(whole, "whole", "(N, D)", (None, None))
    require_shape(parts, "parts", "(N, P, D)", (whole.shape[0], None, whole.shape[1]))
    if not len(whole):
        raise ValueError("compositionality got no case to judge; check the list of images.")
    unit_vectors(parts, "parts")  # refuses what is not finite
    return cosine(unit_vectors(whole, "whole"), F.normalize(parts.detach().double().cpu().sum(1), dim=-1))


def shuffled_cosines(
    whole: Tensor, parts: Tensor, groups: Sequence[object] | Tensor | None = None, seed: int = 0
) -> Tensor:
    """The control: as :func:`part_cosines`, but each part is the same part of a random patch of another patient.

    Args:
        whole: (N, D), float.
        parts: (N, P, D), float.
        groups: patient of each patch.
        seed: decides which patches.

    Returns:
        (N,), float64 on the CPU; NaN where there is no other patient.

    Raises:
        ValueError: as :func:`part_cosines`.
    """
    patients, (count, number) = groups_of(groups, len(whole)), parts.shape[:2]
    if int(patients.max()) == 0:
        return torch.full((count,), torch.nan, dtype=torch.float64)
    others = (patients[:, None] != patients).float()
    drawn = others.multinomial(number, replacement=True, generator=torch.Generator().manual_seed(seed))  # (N, P)
    return part_cosines(whole, parts.detach().cpu()[drawn, torch.arange(number)])


class Compositionality(EmbeddingMetric):
    """Metric class of :func:`compositionality`.

    Args:
        seed: decides whose parts are the control.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def __call__(self, whole: Tensor, parts: Tensor, groups: Sequence[object] | Tensor | None = None) -> Tensor:
        """Keep a batch of patches.

        Args:
            whole: (B, D), float.
            parts: (B, P, D), float.
            groups: patient of each patch.

        Returns:
            the cosines of this batch, (B,).
        """
        cosines = part_cosines(whole, parts)
        self.gather(whole, parts, groups=groups)
        return cosines

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`compositionality_statistic`."""
        whole, parts, groups = gathered
        return compositionality_statistic(whole, parts, groups, self.seed)
