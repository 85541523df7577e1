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
"""Which labelled images a run learns from: all, a few, or a share, by patient and nested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from monai_lamps.data.keys import derive_seed

__all__ = ["pick_shots"]


def pick_shots(
    items: Sequence[Mapping[str, Any]], shots: int = 0, share: float = 1.0, seed: int = 0
) -> list[Mapping[str, Any]]:
    """Pick some of the training images.

    Patients are put in an order that ``seed`` decides, so that a smaller pick is contained in a larger one of the same
    seed: 3 shots in 6, 1 % in 10 %. An image without a patient is a patient of its own.

    - ``shots`` counts images: one of each patient in that order (the first in the list), then a second of each, and so
      on, so that few shots show as many patients as there can be.
    - ``share`` counts patients, at least one, each with all images.

    Args:
        items: the training section of a datalist.
        shots: number of images; 0 for all.
        share: share of patients, above 0 and at most 1.
        seed: of the order.

    Returns:
        the picked items.

    Raises:
        ValueError: when both are asked for, one is out of its range, or there are fewer images than shots.
    """
    if shots < 0 or not 0 < share <= 1:
        raise ValueError(
            f"shots got {shots} and share {share}, expected shots >= 0 (0 for all images) and a share above 0 and at "
            "most 1."
        )
    if shots and share < 1:
        raise ValueError(f"shots={shots} and share={share} were both given; leave one of them out.")
    if shots > len(items):
        raise ValueError(
            f"shots got {shots}, but there are {len(items)} labelled training images; give at most --shots "
            f"{len(items)}, or 0 for all of them."
        )
    if not shots and share == 1:
        return list(items)
    patients: dict[object, list[Mapping[str, Any]]] = defaultdict(list)
    for number, item in enumerate(items):
        patient = item.get("patient")
        patients[("image", number) if patient in (None, "") else str(patient)].append(item)
    groups = list(patients.values())
    order = sorted(range(len(groups)), key=lambda number: derive_seed(seed, number))
    if not shots:
        return [item for number in order[: max(1, round(share * len(groups)))] for item in groups[number]]
    rounds = max(len(group) for group in groups)
    in_turn = [groups[number][turn] for turn in range(rounds) for number in order if turn < len(groups[number])]
    return in_turn[:shots]
