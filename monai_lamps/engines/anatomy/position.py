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
"""Order: where a patch comes from can be read from its embedding."""

from __future__ import annotations

import torch

from monai_lamps.metrics.anatomy import position_statistic

from .places import random_places
from .probe import Examination, Finding, Note, NotJudgedError, Probe, on_cases

__all__ = ["PositionProbe"]


class PositionProbe(Probe):
    """Reads the place of random patches from their embeddings, learning from other patients.

    Args:
        patch_size: side to which a patch is brought, px.
        patch_share: side of a patch in shares of the image's.
        per_case: patches of each radiograph.
        seed: decides places and folds.
    """

    name = "position"
    about = "From the embedding of a random patch its place in the radiograph is read, learning from other patients."
    notes = {
        "r2": Note("more", "share of the places' variance that a linear regression explains, mean of x and y."),
        "r2_*": Note("more", "the same along one axis."),
        "error": Note("less", "mean distance of the place read and the true one, in shares of the image's side."),
        "error_chance": Note("", "the same when the mean place is always named."),
        "cell_accuracy": Note("more", "share of patches whose cell of a 4 x 4 grid the nearest patches name."),
        "cell_chance": Note("", "what naming the most frequent cell reaches."),
    }

    def __init__(self, patch_size: int = 128, patch_share: float = 0.22, per_case: int = 6, seed: int = 0) -> None:
        self.patch_size, self.patch_share, self.per_case, self.seed = patch_size, patch_share, per_case, seed

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when there is a single patient.
        """
        cases = examination.cases
        if len({case.patient for case in cases}) < 2:
            raise NotJudgedError("it needs two patients, got one.")
        places = random_places(len(cases), self.per_case, (self.patch_share, self.patch_share), self.seed)
        patches = torch.stack([place.cut(cases, self.patch_size) for place in places])
        statistic = position_statistic(
            examination.subject.embed(patches),
            torch.tensor([[column, row] for row, column in (place.centre for place in places)]),
            [cases[place.case].patient for place in places],
            seed=self.seed,
        )
        return Finding(on_cases(statistic, [place.case for place in places]))
