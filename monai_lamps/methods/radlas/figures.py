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

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from monai_lamps.losses import cell_errors, chosen_mean
from monai_lamps.metrics.ranking import Ranking
from monai_lamps.networks import cell_means

__all__ = ["restoration_figures"]

_PIXELS = 1 << 18  # that the ranking looks at, spread over the batch
_VISIBLE = 0.25  # of the soft mask, from which on a pixel counts as lesion


@torch.no_grad()
def restoration_figures(
    batch: Mapping[str, Tensor], restored: Tensor, pixel_map: Tensor, cell: int
) -> dict[str, Tensor]:
    """How well lesions are removed and the rest is kept, and whether the map shows the lesions.

    Args:
        batch: ``image`` (lesioned) and ``healthy`` (B, C, *spatial), float in [0, 1], ``lesion`` (B, 1, *spatial).
        restored: (B, C, *spatial), float, in the same unit.
        pixel_map: (B, 1, *spatial), float.
        cell: of the encoder, px.

    Returns:
        scalars float32 by name: ``lesion_error`` and ``healthy_error``, mean absolute error of the restored image in
        cells with and without lesion, in the unit of [0, 1]; ``lesion_before``, what the lesion itself amounts to in
        its cells (an error above it is worse than leaving the lesion there); ``lesion_removed``, which share of the
        absolute difference to the healthy image the restoration takes away at pixels of lesions (soft mask from 0.25
        on): 1 all of it, 0 nothing, below 0 worse than leaving the lesion there (0, too, where there are none). The
        errors are diluted, as a cell that a lesion touches has many other pixels; this is not. ``pixel_auroc``, how
        well the map ranks the same pixels above those outside, 0.5 by chance (0.5, too, where there are none).
    """
    lesion = cell_means(batch["lesion"].float(), cell) > 0
    healthy = batch["healthy"].float()
    errors = cell_errors(restored.float(), healthy, lesion.shape[1])
    before = cell_errors(batch["image"].float(), healthy, lesion.shape[1])
    return {
        "lesion_error": chosen_mean(errors, lesion),
        "healthy_error": chosen_mean(errors, ~lesion),
        "lesion_before": chosen_mean(before, lesion),
        "lesion_removed": _removed(batch, restored),
        "pixel_auroc": _auroc(pixel_map, batch["lesion"]),
    }


def _removed(batch: Mapping[str, Tensor], restored: Tensor) -> Tensor:
    visible, healthy = batch["lesion"] >= _VISIBLE, batch["healthy"].float()
    before, after = ((some.float() - healthy).abs().mul(visible).sum() for some in (batch["image"], restored))
    return torch.where(before > 0, 1 - after / before, 0.0)


def _auroc(pixel_map: Tensor, lesion: Tensor) -> Tensor:
    step = lesion.numel() // _PIXELS + 1
    truth, scores = lesion.flatten()[::step], pixel_map.float().flatten()[::step]
    known = (truth == 0) | (truth >= _VISIBLE)
    ranking = Ranking(scores[known].cpu().numpy(), (truth[known] > 0).cpu().numpy())
    area = ranking.roc_auc(np.ones(int(known.sum())))
    return torch.tensor(0.5 if np.isnan(area) else area, device=lesion.device)
