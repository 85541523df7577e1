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
"""Decomposability: from the embedding of a whole, those of its parts are predicted."""

from __future__ import annotations

import torch

from monai_lamps.metrics.anatomy import decomposability_statistic

from .case import resize
from .patches import parts_of
from .places import random_places
from .probe import Examination, Finding, Note, NotJudgedError, Probe, on_cases

__all__ = ["DecomposabilityProbe"]


class DecomposabilityProbe(Probe):
    """Looks for the right part among its siblings, for encoders that come with a decomposer.

    Args:
        patch_size: side to which wholes and parts are brought, px.
        per_case: patches of each radiograph.
        shares: least and greatest side of a patch in shares of the image's.
        seed: decides the places.
    """

    name = "decomposability"
    about = (
        "From the embedding of a random patch the decomposer predicts those of its quarters; each prediction is looked "
        "for among the four."
    )
    notes = {
        "retrieval": Note("more", "share of predictions that are nearest to the right quarter."),
        "chance": Note("", "what guessing reaches."),
        "cosine": Note("", "mean cosine with the right quarter."),
        "sibling_cosine": Note("", "mean cosine with the wrong ones."),
        "gap": Note("more", "the former minus the latter."),
    }

    def __init__(
        self, patch_size: int = 128, per_case: int = 2, shares: tuple[float, float] = (0.3, 0.6), seed: int = 0
    ) -> None:
        self.patch_size, self.per_case, self.shares, self.seed = patch_size, per_case, (shares[0], shares[1]), seed

    @torch.no_grad()
    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when there is no decomposer.
        """
        cases, subject = examination.cases, examination.subject
        if subject.decompose is None:
            raise NotJudgedError("it has no decomposer: an encoder file holds the encoder alone.")
        places = random_places(len(cases), self.per_case, self.shares, self.seed)
        patches = [place.cut(cases, 2 * self.patch_size) for place in places]
        whole = subject.embed(torch.stack([resize(patch, self.patch_size) for patch in patches]))
        quarters = torch.stack([resize(part, self.patch_size) for patch in patches for part in parts_of(patch, 4)])
        parts = subject.embed(quarters).unflatten(0, (len(patches), 4))
        predicted = subject.decompose(whole.to(subject.device)).cpu()
        return Finding(on_cases(decomposability_statistic(predicted, parts), [place.case for place in places]))
