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
"""Which radiographs an evaluation takes of a list that shows several organs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from monai_lamps.bundle.few_shot import pick_shots
from monai_lamps.data.organs import OrganSource, read_organs

__all__ = ["pick_across_organs"]


def pick_across_organs(
    items: Sequence[Mapping[str, Any]], source: OrganSource, count: int = 0, seed: int = 0
) -> list[Mapping[str, Any]]:
    """Pick radiographs of all organs, as many of each as there are, and write down what they show.

    One of each organ in turn, so that an organ with few radiographs is not lost beside one with many. Of an organ they
    come in the order of :func:`~monai_lamps.bundle.pick_shots`: one a patient as far as there are patients. Those
    whose organ is not known take turns as if they were one more organ, so that a list without organs is picked from as
    ``pick_shots`` does it.

    Args:
        items: a section of a datalist.
        source: where the organ stands.
        count: number of radiographs; 0 for all, as are more than there are.
        seed: of the order.

    Returns:
        the picked items with the columns ``organ``, ``laterality`` and ``view``, empty where they are not known.

    Raises:
        ValueError: when ``count`` is below 0.
    """
    if count < 0:
        raise ValueError(f"count got {count}, expected a number of radiographs, or 0 for all.")
    labels = read_organs(items, source)
    named: list[Mapping[str, Any]] = [
        {**item, "organ": label.organ, "laterality": label.laterality, "view": label.view}
        for item, label in zip(items, labels)
    ]
    if not count:
        return named
    organs: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in named:
        organs[item["organ"]].append(item)
    queues = [pick_shots(own, len(own), seed=seed) for own in organs.values()]
    turns = range(max(map(len, queues), default=0))
    return [queue[turn] for turn in turns for queue in queues if turn < len(queue)][:count]
