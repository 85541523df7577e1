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
"""What a list of items is annotated with, counted without opening a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monai_lamps.data.annotations.error import AnnotationError
from monai_lamps.data.annotations.structures import StructureValues, annotated_structures

__all__ = ["count_labels", "count_structures", "label_value"]


def count_structures(items: Iterable[Mapping[str, Any]], values: StructureValues | None = None) -> dict[str, int]:
    """How many items are annotated with each structure.

    A structure that is known not to be there (null, or no polygon) counts: the image says so.

    Args:
        items: items of a datalist.
        values: value, or values, of each structure in label maps.

    Returns:
        number of items by structure, in the order of their first appearance.
    """
    counts: Counter[str] = Counter()
    for item in items:
        counts.update(annotated_structures(item, values).keys())
    return dict(counts)


def count_labels(items: Iterable[Mapping[str, Any]], classes: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
    """How many items have each class, have it not, or do not say.

    Args:
        items: items of a datalist with ``labels``, as :class:`~monai_lamps.transforms.LoadLabels` takes them.
        classes: the classes to count; by default all that any item names.

    Returns:
        ``{class: {"positive": n, "negative": n, "unknown": n}}``; a label of at least 0.5 is positive.
    """
    rows = [(item, item.get("labels") or {}) for item in items]
    if classes is None:
        classes = list(dict.fromkeys(name for _, labels in rows for name in labels))
    counts = {name: {"positive": 0, "negative": 0, "unknown": 0} for name in classes}
    for item, labels in rows:
        for name in classes:
            value = label_value(labels.get(name), name, str(item.get("image")))
            kind = "unknown" if math.isnan(value) else "positive" if value >= 0.5 else "negative"
            counts[name][kind] += 1
    return counts


def label_value(value: Any, name: str, image: str) -> float:
    """A label as a number.

    Args:
        value: 0, 1, a probability between them, or -1, null or NaN for unknown.
        name: the class, for errors.
        image: the image, for errors.

    Returns:
        the number in [0, 1], NaN for unknown.

    Raises:
        AnnotationError: for any other value.
    """
    number = float(value) if isinstance(value, (int, float)) else math.nan if value is None else math.inf
    if math.isnan(number) or number == -1:
        return math.nan
    if not 0 <= number <= 1:
        raise AnnotationError(
            f"image '{image}': label '{name}' is {value!r}; expected 0, 1, a probability between them, or -1 or null "
            "for unknown."
        )
    return number
