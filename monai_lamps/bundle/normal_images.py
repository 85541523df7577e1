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
"""Which images of a datalist count as normal."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["normal_images"]

_LOGGER = logging.getLogger(__name__)
_SHOWN = 8  # values that a message lists


def normal_images(
    items: Sequence[Mapping[str, Any]], column: str = "", value: Any = 1, section: str = "training"
) -> list[Mapping[str, Any]]:
    """The items whose column says that they are normal; all of them, with a warning, where no column is given.

    Args:
        items: of a datalist.
        column: an entry of the items, or of their ``labels``; an empty text where normal images are not known. An item
            without it is not normal.
        value: what the column holds for a normal image; compared as numbers where both are, else as text. Where the
            column holds a list, one of its entries has to be it.
        section: what a message calls the items.

    Returns:
        the normal items, in their order; none where there are no items.

    Raises:
        ValueError: when no item has the column, or none is normal.
    """
    if not items:
        return []
    if not column:
        _LOGGER.warning(
            f"all {len(items)} {section} images are taken for normal: lesions that are in them will be restored as "
            "though they were healthy. Give --normal_column NAME, an entry of the datalist's items or of their labels."
        )
        return list(items)
    found = [(item, _look_up(item, column)) for item in items]
    if not any(known for _, known in found):
        names = sorted({str(name) for item in items for name in (*item, *_labels(item))})
        raise ValueError(f"no {section} image has the column '{column}' of normal_column; they have {names}.")
    normal = [item for item, values in found if any(_same(one, value) for one in values)]
    if not normal:
        counts = Counter(str(one) for _, values in found for one in values)
        held = ", ".join(f"{name!r} ({count})" for name, count in counts.most_common(_SHOWN))
        raise ValueError(
            f"no {section} image has {value!r} in the column '{column}', which holds {held}; give --normal_value."
        )
    _LOGGER.info(f"{len(normal)} of {len(items)} {section} images are normal ({column} = {value}).")
    return normal


def _labels(item: Mapping[str, Any]) -> Mapping[str, Any]:
    labels = item.get("labels")
    return labels if isinstance(labels, Mapping) else {}


def _look_up(item: Mapping[str, Any], column: str) -> list[Any]:
    """The values of a column in an item; none where it is absent."""
    value = item.get(column, _labels(item).get(column))
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else [value]


def _same(a: Any, b: Any) -> bool:
    try:
        return float(a) == float(b)
    except (TypeError, ValueError):
        return str(a).strip().lower() == str(b).strip().lower()
