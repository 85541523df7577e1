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
"""Compositionality: the embedding of a whole points where the sum of its parts' does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_lamps.metrics import Statistic
from monai_lamps.metrics.anatomy import compositionality_statistic, part_cosines, shuffled_cosines

from .case import resize
from .patches import parts_of
from .places import random_places
from .probe import Examination, Finding, Note, Probe, on_cases

__all__ = ["CompositionalityProbe"]


class CompositionalityProbe(Probe):
    """Compares random patches with their 2, 3 and 4 parts (Adam, arXiv 2309.15358, section 3.4).

    Args:
        patch_size: side to which wholes and parts are brought, px.
        per_case: patches of each radiograph.
        shares: least and greatest side of a patch in shares of the image's.
        counts: numbers of parts, of 2, 3 and 4.
        seed: decides the places, and whose parts are the control.
    """

    name = "compositionality"
    about = (
        "Random patches are cut into 2, 3 or 4 parts, each resized to the input's size; the cosine of E(whole) and the "
        "sum of E(part), against parts of other patients as the control. An encoder that answers the same to "
        "everything reaches a cosine of 1, so the gap is what counts."
    )
    notes = {
        "mean_*": Note("", "mean cosine of a whole and the sum of its 2, 3 or 4 parts."),
        "sd_*": Note("", "its standard deviation over patches."),
        "full_width_*": Note("", "full width at half maximum of its density."),
        "control_mean_*": Note("", "mean cosine of a whole and the sum of other patients' parts."),
        "gap_*": Note("more", "mean minus control; 0 for an encoder that knows nothing."),
        "above_control_*": Note("more", "share of wholes nearer to their own parts; 0.5 by chance."),
    }

    def __init__(
        self,
        patch_size: int = 128,
        per_case: int = 2,
        shares: tuple[float, float] = (0.3, 0.6),
        counts: Sequence[int] = (2, 3, 4),
        seed: int = 0,
    ) -> None:
        self.patch_size, self.per_case, self.shares = patch_size, per_case, (shares[0], shares[1])
        self.counts, self.seed = tuple(counts), seed

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class."""
        cases, subject = examination.cases, examination.subject
        places = random_places(len(cases), self.per_case, self.shares, self.seed)
        frame = 2 * self.patch_size  # a quarter of it has the size that the encoder is asked with
        patches = [place.cut(cases, frame) for place in places]
        whole = subject.embed(torch.stack([resize(patch, self.patch_size) for patch in patches]))
        patients = [cases[place.case].patient for place in places]
        statistics: dict[int, Statistic] = {}
        samples, controls = {}, {}
        for count in self.counts:
            parts = self._parts(patches, count, examination)
            statistics[count] = compositionality_statistic(whole, parts, patients, self.seed)
            plot = f"cosine of a whole and its {count} parts"
            samples[plot] = part_cosines(whole, parts).numpy()
            control = shuffled_cosines(whole, parts, patients, self.seed).numpy()
            if np.isfinite(control).any():
                controls[plot] = control[np.isfinite(control)]
        return Finding(on_cases(_joined(statistics), [place.case for place in places]), samples, controls)

    def _parts(self, patches: Sequence[Tensor], count: int, examination: Examination) -> Tensor:
        """Embeddings (N, P, D) of the parts of all patches."""
        cut = [resize(part, self.patch_size) for patch in patches for part in parts_of(patch, count)]
        parts: Tensor = examination.subject.embed(torch.stack(cut)).unflatten(0, (len(patches), count))
        return parts


def _joined(statistics: dict[int, Statistic]) -> Statistic:
    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        return {
            f"{name}_{count}": value
            for count, statistic in statistics.items()
            for name, value in statistic(weights).items()
        }

    return figures
