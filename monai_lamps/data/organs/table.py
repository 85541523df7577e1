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
"""The organs of a data set as numbers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monai_lamps.data.organs.names import OrganLabel
from monai_lamps.data.organs.sources import OrganSource

__all__ = ["OrganTable", "organ_labels", "read_organs", "require_organs"]

_LOGGER = logging.getLogger(__name__)
_LISTED = 10  # unknown spellings that the log names


@dataclass(frozen=True)
class OrganTable:
    """The organs of a data set.

    Attributes:
        names: names of the organs, sorted; an organ's number is its place here.
        index: number of each item's organ, -1 where it is unknown.
        labels: what is known of each item, with side and view.
    """

    names: list[str]
    index: list[int]
    labels: list[OrganLabel]

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each organ."""
        found = Counter(self.index)
        return {name: found[number] for number, name in enumerate(self.names)}

    def numbered(self, items: Iterable[Mapping[str, Any]], key: str = "organ_index") -> list[dict[str, Any]]:
        """Copies of the items that carry their organ's number.

        Args:
            items: the items that the table was made of, in their order.
            key: entry for the number.

        Raises:
            ValueError: when there are more or fewer items than in the table.
        """
        rows = list(items)
        if len(rows) != len(self.index):
            raise ValueError(f"items got {len(rows)}, expected the {len(self.index)} that the table was made of.")
        return [{**item, key: number} for item, number in zip(rows, self.index)]


def organ_labels(
    items: Sequence[Mapping[str, Any]],
    source: OrganSource,
    names: Sequence[str] | None = None,
    minimum: int = 2,
) -> OrganTable:
    """Number the organs of a data set.

    Images whose organ is unknown get -1; the log tells how many, and names the spellings that are not known, once, with
    the nearest known organ.

    Args:
        items: items of a datalist.
        source: where the organ stands: :class:`~monai_lamps.data.organs.ColumnOrgans`, ``FolderOrgans`` or
            ``DicomOrgans``.
        names: organs whose numbers are given already, by training for instance: others are unknown, and the checks
            below are left out. None: those that occur.
        minimum: an organ with fewer images than that cannot be contrasted: its images get -1, with a warning. 2 asks
            that each image has another one of its organ.

    Raises:
        ValueError: when no image has an organ, or there are fewer than two organs to tell apart.
    """
    labels = read_organs(items, source)
    if names is None:
        require_organs(labels, source)
        names = _contrasted(labels, source, minimum)
    else:
        others = Counter(label.organ for label in labels if label.organ and label.organ not in names)
        if others:
            _LOGGER.warning(f"organs beside {', '.join(names)} count as unknown: {_listed(others)}.")
    number = {name: place for place, name in enumerate(names)}
    return OrganTable(list(names), [number.get(label.organ, -1) for label in labels], labels)


def read_organs(items: Sequence[Mapping[str, Any]], source: OrganSource) -> list[OrganLabel]:
    """Labels of all items; unknown spellings and images without an organ are logged, one line each.

    Args:
        items: items of a datalist.
        source: where the organ stands.
    """
    labels = source.read_all(items)
    unknown = _unknown(labels)
    without = sum(not label.organ and not label.spelling for label in labels)
    if unknown:
        spellings, total = _listed(_with_nearest(unknown, source)), sum(unknown.values())
        _LOGGER.warning(f"{total} images have an organ that is not known in {source.place}: {spellings}.")
    if without:
        _LOGGER.info(f"{without} of {len(labels)} images name no organ in {source.place}.")
    return labels


def require_organs(labels: Sequence[OrganLabel], source: OrganSource) -> None:
    """Refuse data in which no image has a known organ.

    Args:
        labels: labels of all images.
        source: where the organ stands.

    Raises:
        ValueError: naming the place, what stands there, and the known organs.
    """
    if any(label.organ for label in labels):
        return
    unknown = _unknown(labels)
    found = f", which have {_listed(_with_nearest(unknown, source))}" if unknown else ""
    raise ValueError(
        f"none of {len(labels)} images has a known organ in {source.place}{found}. Known are "
        f"{', '.join(source.names.organs)}: add others to the names, or {source.mend}."
    )


def _contrasted(labels: Sequence[OrganLabel], source: OrganSource, minimum: int) -> list[str]:
    """The organs with enough images, sorted."""
    counts = Counter(label.organ for label in labels if label.organ)
    few = {name: count for name, count in counts.items() if count < minimum}
    names = sorted(set(counts) - set(few))
    if len(names) < 2:
        raise ValueError(
            f"the images show {_listed(counts)}, expected at least two organs with {minimum} images or more each, or "
            "there is nothing to tell apart. Add images of another organ, pretrain without the contrast of organs, or, "
            f"when the organs are others, {source.mend}."
        )
    if few:
        _LOGGER.warning(f"organs with fewer than {minimum} images count as unknown: {_listed(few)}.")
    return names


def _unknown(labels: Sequence[OrganLabel]) -> Counter[str]:
    return Counter(label.spelling for label in labels if not label.organ and label.spelling)


def _with_nearest(unknown: Mapping[str, int], source: OrganSource) -> dict[str, int]:
    near = {text: source.names.nearest(text) for text in unknown}
    return {f"'{text}' ({near[text]}?)" if near[text] else f"'{text}'": count for text, count in unknown.items()}


def _listed(counts: Mapping[str, int]) -> str:
    """``knee 12, hand 3``, the most frequent first, the rest as a number."""
    rows = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return ", ".join(f"{name} {count}" for name, count in rows[:_LISTED]) + more
