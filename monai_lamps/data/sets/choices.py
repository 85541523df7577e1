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
"""What the adapters have in common: choices, labels, images that were not downloaded."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["UNKNOWN", "binary", "check_choice", "drop_missing", "log_count"]

#: the label of a class that nothing is known of
UNKNOWN = -1

logger = logging.getLogger(__name__)


def check_choice(option: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise ValueError unless an option of an adapter has one of its values."""
    if value not in choices:
        raise ValueError(f"{option} must be one of {', '.join(map(str, choices))}, got '{value}'.")


def binary(text: str, where: str) -> int:
    """A label that a table holds as 0 or 1, also written 0.0 and 1.0.

    Raises:
        ValueError: for anything else.
    """
    if text not in ("0", "1", "0.0", "1.0"):
        raise ValueError(f"{where} is '{text}', expected 0 or 1; take the original table of the set.")
    return int(float(text))


def drop_missing(
    entries: Iterable[tuple[str, Path | None, dict[str, Any]]], max_missing: float, where: str
) -> list[dict[str, Any]]:
    """Leave out the images that are listed but were not downloaded, and count them.

    Args:
        entries: name of the image, its path or ``None`` when there is no such file, and the rest of the item.
        max_missing: largest share of the listed images that may be missing.
        where: the list and the folder, for the log and the error.

    Returns:
        the items, with ``image``.

    Raises:
        ValueError: when more are missing, or all.
    """
    items: list[dict[str, Any]] = []
    missing: list[str] = []
    for name, path, rest in entries:
        if path is None:
            missing.append(name)
        else:
            items.append({"image": str(path), **rest})
    total = len(items) + len(missing)
    if missing and (not items or len(missing) > max_missing * total):
        raise ValueError(
            f"{len(missing)} of {total} images of {where} are not there, more than the allowed {max_missing:.0%} "
            f"(first: {', '.join(missing[:3])}). Download the rest of the set, or raise max_missing to work with "
            "a part of it."
        )
    log_count(missing, f"of {total} images of {where} are not there and left out")
    return items


def log_count(names: Sequence[str] | Mapping[str, Any], what: str) -> None:
    """Log how many things a rule was applied to, with three examples; nothing when there are none."""
    if names:
        logger.info(f"{len(names)} {what} (first: {', '.join(list(names)[:3])}).")
