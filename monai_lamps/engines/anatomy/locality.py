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
"""Locality: patches around the same landmark are alike, those around different ones are not."""

from __future__ import annotations

import torch

from monai_lamps.metrics.anatomy import locality_statistic

from .embedding_pictures import embedding_pictures
from .places import Place
from .probe import Examination, Finding, Note, NotJudgedError, Probe, on_cases

__all__ = ["LocalityProbe"]


class LocalityProbe(Probe):
    """Embeds a patch around each landmark of each radiograph (Adam, arXiv 2309.15358, section 3.3).

    Args:
        patch_size: side to which a patch is brought, px.
        patch_share: side of a patch in shares of the image's; 224 px of 1024 in the paper.
        neighbours: how many nearest patches vote.
    """

    name = "locality"
    about = (
        "A patch around each landmark is embedded. Patches around the same landmark of different patients should be "
        "alike, and unlike those around others."
    )
    notes = {
        "silhouette": Note("more", "-1 to 1: are landmarks separate clusters? 0 for an encoder that knows nothing."),
        "davies_bouldin": Note("less", "spread of the landmarks' clusters relative to their distance."),
        "knn_accuracy": Note("more", "landmark named by the nearest patches of other patients, 0 to 1."),
        "knn_chance": Note("", "what naming the most frequent landmark always reaches."),
        "within_cosine": Note("", "mean cosine of patches around the same landmark of different patients."),
        "between_cosine": Note("", "mean cosine of patches around different landmarks of different patients."),
        "cosine_gap": Note("more", "the former minus the latter."),
    }

    def __init__(self, patch_size: int = 128, patch_share: float = 0.22, neighbours: int = 5) -> None:
        self.patch_size, self.patch_share, self.neighbours = patch_size, patch_share, neighbours

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when fewer than two landmarks are known, or of one patient only.
        """
        cases = examination.cases
        names = list(dict.fromkeys(name for case in cases for name in case.points))
        known = [(number, name, point) for number, case in enumerate(cases) for name, point in case.points.items()]
        if len(names) < 2 or len({cases[number].patient for number, _, _ in known}) < 2:
            raise NotJudgedError(f"it needs two landmarks in two patients, got {len(names)} landmarks (--landmarks).")
        patches = [Place(number, point, self.patch_share).cut(cases, self.patch_size) for number, _, point in known]
        embeddings = examination.subject.embed(torch.stack(patches))
        labels = torch.tensor([names.index(name) for _, name, _ in known])
        patients = [cases[number].patient for number, _, _ in known]
        statistic = locality_statistic(embeddings, labels, patients, self.neighbours)
        pictures = embedding_pictures("landmark patches", embeddings, labels, names)
        return Finding(on_cases(statistic, [number for number, _, _ in known]), pictures=pictures)
