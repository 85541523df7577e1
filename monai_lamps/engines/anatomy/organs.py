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
"""Organs: whole radiographs of the same organ are alike, and fall into views and sides inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_lamps.metrics import Statistic
from monai_lamps.metrics.anatomy import inner_clusters_statistic, retrieval_statistic, separation_statistic

from .case import Case
from .embedding_pictures import embedding_pictures
from .probe import Examination, Finding, Note, NotJudgedError, Probe, on_cases

__all__ = ["OrganProbe", "check_organs"]

_INNER = ("laterality", "view")


class OrganProbe(Probe):
    """Embeds whole radiographs of several organs, as Coda's figure 2 shows them (MICCAI 2025), and puts it in numbers.

    Radiographs whose organ is not known are left out. Side and view are judged where two patients or more show each of
    two sides, or views, of an organ. Where each radiograph names its source (the data set or machine that it comes
    from) and an organ has several, radiographs are also looked up among those of other sources alone, so that the looks
    of a source are no help.

    Args:
        unseen: organs that the encoders have not seen in pretraining, which are judged apart, too.
        ks: how many of the nearest radiographs are looked at.
        neighbours: how many nearest radiographs vote in the kNN classification.
    """

    name = "organs"
    about = (
        "Whole radiographs are embedded and looked up among those of other patients, without any training. Those of "
        "the same organ should be near, those of others far; inside an organ, so should be those of the same view and "
        "side. Every organ counts the same, however many radiographs show it."
    )
    notes = {
        "precision_*": Note("more", "share of so many nearest radiographs that show the same organ, 0 to 1."),
        "hit_*_chance": Note("", "what any order gives on average."),
        "hit_*": Note("more", "share of radiographs with the same organ among so many nearest."),
        "map": Note("more", "mean average precision over all radiographs in their order."),
        "chance": Note("", "share of the radiographs that show the same organ: precision and map that guessing gives."),
        "knn_accuracy*": Note("more", "organ named by the nearest radiographs, mean over organs; and of each organ."),
        "knn_chance": Note("", "what guessing reaches."),
        "unseen_chance": Note("", "likewise for the organs that were not seen in pretraining."),
        "unseen_*": Note("more", "the same for the organs that were not seen in pretraining, looked up among all."),
        "across_sources_chance": Note("", "likewise among radiographs of other sources."),
        "across_sources_*": Note(
            "more", "the same among radiographs of other sources, of the organs that have several."
        ),
        "silhouette": Note("more", "-1 to 1: are organs separate clusters? 0 for an encoder that knows nothing."),
        "davies_bouldin": Note("less", "spread of the organs' clusters relative to their distance."),
        "within_cosine": Note("", "mean cosine of radiographs of the same organ of different patients."),
        "between_cosine": Note("", "mean cosine of radiographs of different organs of different patients."),
        "cosine_gap": Note("more", "the former minus the latter."),
        "*_knn_chance*": Note("", "what guessing among the sides, or views, reaches."),
        "laterality_*": Note("more", "left and right inside each organ: silhouette, and side named by the nearest."),
        "view_*": Note("more", "views inside each organ: silhouette, and view named by the nearest."),
    }

    def __init__(self, unseen: Sequence[str] | str = (), ks: Sequence[int] = (1, 5, 10), neighbours: int = 5) -> None:
        self.unseen, self.ks, self.neighbours = _names(unseen), tuple(ks), neighbours

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when fewer than two organs are known of two patients each.
        """
        shown = [number for number, case in enumerate(examination.cases) if case.organ.organ]
        cases = [examination.cases[number] for number in shown]
        names = _compared(cases)
        labels = torch.tensor([names.index(case.organ.organ) for case in cases])
        embeddings = examination.subject.embed(examination.images[shown])
        statistic = self._statistic(embeddings, labels, names, cases)
        return Finding(on_cases(statistic, shown), pictures=embedding_pictures("organs", embeddings, labels, names))

    def _statistic(self, embeddings: Tensor, labels: Tensor, names: Sequence[str], cases: Sequence[Case]) -> Statistic:
        patients = [case.patient for case in cases]
        options: dict[str, Any] = {"ks": self.ks, "neighbours": self.neighbours}
        everything = retrieval_statistic(embeddings, labels, patients, **options)
        unseen = [number for number, name in enumerate(names) if name in self.unseen]
        parts = {}
        if unseen:
            parts["unseen_"] = retrieval_statistic(embeddings, labels, patients, of=unseen, **options)
        sources = [case.source for case in cases]
        if all(sources) and len(set(zip(sources, labels.tolist()))) > len(names):
            parts["across_sources_"] = retrieval_statistic(embeddings, labels, sources, **options)
        inner = {
            f"{kind}_": inner_clusters_statistic(embeddings, labels, _numbers(cases, kind), patients, self.neighbours)
            for kind in _INNER
        }
        apart = separation_statistic(embeddings, labels, patients)

        def figures(weights: npt.NDArray[np.float64]) -> dict[str, float]:
            found = everything(weights)
            for start, part in parts.items():
                found.update({start + name: value for name, value in part(weights).items() if not _is_detail(name)})
            found.update(apart(weights))
            for start, part in inner.items():
                own = part(weights)
                if any("/" in name for name in own):  # an organ with two sides, or views, to tell apart
                    found.update({start + name: value for name, value in own.items()})
            return {_spelled(name, names): value for name, value in found.items()}

        return figures


def check_organs(cases: Sequence[Case], unseen: Sequence[str] | str = ()) -> None:
    """Refuse organs that were asked for and that no radiograph shows.

    Args:
        cases: the radiographs.
        unseen: as the user gave them.

    Raises:
        ValueError: naming the first one, and the organs that there are.
    """
    known = sorted({case.organ.organ for case in cases} - {""})
    for name in _names(unseen):
        if name not in known:
            raise ValueError(
                f"unseen got '{name}', an organ that no radiograph shows; they show {', '.join(known) or 'none'}."
            )


def _names(organs: Sequence[str] | str) -> tuple[str, ...]:
    return (organs,) if isinstance(organs, str) else tuple(organs)


def _compared(cases: Sequence[Case]) -> list[str]:
    """The organs, sorted."""
    patients: dict[str, set[object]] = {}
    for case in cases:
        patients.setdefault(case.organ.organ, set()).add(case.patient)
    if sum(len(each) > 1 for each in patients.values()) < 2:
        found = ", ".join(f"{name} of {len(patients[name])}" for name in sorted(patients)) or "none"
        raise NotJudgedError(f"it needs two organs of two patients each (--organs), got {found}.")
    return sorted(patients)


def _numbers(cases: Sequence[Case], kind: str) -> Tensor:
    """Side or view of each case as a number, -1 where it is not known."""
    values = [getattr(case.organ, kind) for case in cases]
    known = sorted(set(values) - {""})
    return torch.tensor([known.index(value) if value else -1 for value in values])


def _is_detail(figure: str) -> bool:
    """Whether a figure of retrieval is left out where only some radiographs are looked up, or among some."""
    return figure.startswith("hit_") or "/" in figure or figure == "knn_chance"


def _spelled(figure: str, names: Sequence[str]) -> str:
    """``knn_accuracy/0`` becomes ``knn_accuracy/chest``."""
    start, _, number = figure.partition("/")
    return f"{start}/{names[int(number)]}" if number else figure
