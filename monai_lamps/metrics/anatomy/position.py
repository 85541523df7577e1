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

from .cases import groups_of, mean_over_cases
from .embedding_metric import EmbeddingMetric
from .neighbours import neighbour_hits
from .ridge import out_of_fold, patient_folds
from .vectors import unit_vectors

__all__ = ["Position", "position", "position_statistic"]

_AXES = "xyz"


def position(
    embeddings: Tensor,
    positions: Tensor,
    groups: Sequence[object] | Tensor | None = None,
    folds: int = 5,
    grid: int = 4,
    neighbours: int = 5,
    seed: int = 0,
) -> dict[str, float]:
    """How well the place of a patch in the image is read from its embedding: what is left of the order of anatomy.

    A ridge regression learns the place from other patients; and the nearest patches of other patients name the cell of
    a coarse grid, which needs no learning and no linearity.

    Args:
        embeddings: (N, D), float, one patch a row.
        positions: (N, A), float in [0, 1], A of 1 to 3: x, y (and z) of the patch's centre as shares of the image.
        groups: patient of each patch, see :func:`~monai_lamps.metrics.anatomy.group_numbers`; at least two patients.
        folds: into how many the patients are dealt.
        grid: cells along each axis.
        neighbours: how many nearest patches vote for the cell.
        seed: decides which patient comes into which fold.

    Returns:
        - ``r2_x``, ``r2_y`` (``r2_z``): share of the variance that is explained, 1 is perfect, 0 or less for a constant
          encoder; ``r2`` is their mean;
        - ``error``: mean distance of the place read and the true one, as a share of the image's side;
        - ``error_chance``: the same when always the mean place of the other patients is named;
        - ``cell_accuracy``: share of patches whose cell is named, 0 to 1;
        - ``cell_chance``: share of the most frequent cell.

    Raises:
        ValueError: when shapes do not fit, a value is not finite, a position lies outside [0, 1], there is a single
            patient, or ``folds`` is below 2, ``grid`` or ``neighbours`` below 1.
    """
    return position_statistic(embeddings, positions, groups, folds, grid, neighbours, seed)(np.ones(len(embeddings)))


def position_statistic(
    embeddings: Tensor,
    positions: Tensor,
    groups: Sequence[object] | Tensor | None = None,
    folds: int = 5,
    grid: int = 4,
    neighbours: int = 5,
    seed: int = 0,
) -> Statistic:
    """The figures of :func:`position` as a function of how often each patch counts.

    What is read from each patch is found once with all patients; the draws weigh the answers.

    Args:
        embeddings: as for :func:`position`, and so are the others.
        positions: (N, A).
        groups: (N,).
        folds: into how many the patients are dealt.
        grid: cells along each axis.
        neighbours: how many nearest patches vote.
        seed: decides the folds.

    Raises:
        ValueError: as :func:`position`.
    """
    truth = _checked(embeddings, positions, grid)
    vectors, patients = unit_vectors(embeddings), groups_of(groups, len(embeddings))
    inputs = embeddings.detach().double().cpu()
    predicted, level = out_of_fold(inputs, truth, patient_folds(patients, folds, seed))
    wrong, error = (predicted - truth) ** 2, (predicted - truth).norm(dim=1)
    chance = (level - truth).norm(dim=1)
    cells = ((truth * grid).long().clamp(max=grid - 1) * grid ** torch.arange(truth.shape[1])).sum(1)
    hits = neighbour_hits(vectors, cells, patients, neighbours)
    member = F.one_hot(cells.unique(return_inverse=True)[1]).double()

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        w = torch.from_numpy(weights)
        spread = (w @ (truth - w @ truth / w.sum()) ** 2).numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            r2 = np.where(spread > 0, 1 - (w @ wrong).numpy() / spread, np.nan)
        return {
            "r2": float(r2.mean()),
            **{f"r2_{axis}": float(value) for axis, value in zip(_AXES, r2)},
            "error": mean_over_cases(error, weights),
            "error_chance": mean_over_cases(chance, weights),
            "cell_accuracy": mean_over_cases(hits, weights),
            "cell_chance": float((w @ member).max() / w.sum()),
        }

    return figures


class Position(EmbeddingMetric):
    """Metric class of :func:`position`.

    Args:
        folds: into how many the patients are dealt.
        grid: cells along each axis.
        neighbours: how many nearest patches vote for the cell.
        seed: decides which patient comes into which fold.
    """

    def __init__(self, folds: int = 5, grid: int = 4, neighbours: int = 5, seed: int = 0) -> None:
        super().__init__()
        self.folds, self.grid, self.neighbours, self.seed = folds, grid, neighbours, seed

    def __call__(self, embeddings: Tensor, positions: Tensor, groups: Sequence[object] | Tensor | None = None) -> None:
        """Keep a batch of patches.

        Args:
            embeddings: (B, D), float.
            positions: (B, A), float in [0, 1].
            groups: patient of each patch.
        """
        self.gather(embeddings, positions, groups=groups)

    def statistic_of(self, *gathered: Tensor) -> Statistic:
        """Figures as a function of the weights, see :func:`position_statistic`."""
        embeddings, positions, groups = gathered
        return position_statistic(embeddings, positions, groups, self.folds, self.grid, self.neighbours, self.seed)


def _checked(embeddings: Tensor, positions: Tensor, grid: int) -> Tensor:
    require_shape(embeddings, "embeddings", "(N, D)", (None, None))
    require_shape(positions, "positions", "(N, A)", (len(embeddings), None))
    if not 1 <= positions.shape[1] <= len(_AXES):
        raise ValueError(f"positions must have 1 to 3 axes (x, y, z), got shape {tuple(positions.shape)}.")
    if grid < 1:
        raise ValueError(f"grid must be at least 1 cell a side, got {grid}; 4 is usual.")
    truth = positions.detach().double().cpu()
    if not ((truth >= 0) & (truth <= 1)).all():
        low, high = float(truth.min()), float(truth.max())
        raise ValueError(f"positions must lie in [0, 1], got [{low:.4g}, {high:.4g}]; divide px by the image's size.")
    return truth
