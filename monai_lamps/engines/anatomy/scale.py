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
"""Scale: the same place seen wide and narrow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch

from monai_lamps.metrics import Statistic
from monai_lamps.metrics.anatomy import scale_consistency_statistic

from .places import Place, random_places
from .probe import Examination, Finding, Note, Probe, on_cases

__all__ = ["ScaleProbe"]

_SCALES = (Fraction(1), Fraction(1, 2), Fraction(1, 4))


class ScaleProbe(Probe):
    """Compares patches of scale 1, 1/2 and 1/4 around the same centres.

    Args:
        patch_size: side to which a patch is brought, px.
        largest_share: side of the patch of scale 1 in shares of the image's.
        per_case: centres in each radiograph.
        seed: decides the centres.
    """

    name = "scale"
    about = (
        "Patches of scale 1, 1/2 and 1/4 around the same centre: are they alike, more than around different centres?"
    )
    notes = {
        "cosine": Note("", "mean cosine of two scales of the same centre."),
        "cosine *": Note("", "the same for two scales alone."),
        "control_cosine": Note("", "mean cosine of two scales of different centres."),
        "gap": Note("more", "the former minus the latter; 0 for an encoder that knows nothing."),
        "retrieval": Note("more", "share of patches nearest to that of the same centre at another scale."),
        "chance": Note("", "what guessing reaches."),
    }

    def __init__(self, patch_size: int = 128, largest_share: float = 0.6, per_case: int = 2, seed: int = 0) -> None:
        self.patch_size, self.largest_share, self.per_case, self.seed = patch_size, largest_share, per_case, seed

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class."""
        cases = examination.cases
        places = random_places(len(cases), self.per_case, (self.largest_share, self.largest_share), self.seed)
        patches = [
            Place(place.case, place.centre, place.share * float(scale)).cut(cases, self.patch_size)
            for place in places
            for scale in _SCALES
        ]
        embeddings = examination.subject.embed(torch.stack(patches)).unflatten(0, (len(places), len(_SCALES)))
        statistic = _named(scale_consistency_statistic(embeddings))
        return Finding(on_cases(statistic, [place.case for place in places]))


def _named(statistic: Statistic) -> Statistic:
    """``cosine/0-1`` becomes ``cosine 1 and 1/2``."""

    def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
        return {_name(name): value for name, value in statistic(weights).items()}

    return figures


def _name(figure: str) -> str:
    start, _, pair = figure.partition("/")
    return f"{start} {' and '.join(str(_SCALES[int(number)]) for number in pair.split('-'))}" if pair else figure
