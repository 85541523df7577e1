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
"""Paths of masks within the items of a datalist."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["map_mask_paths", "read_structure_values", "resolve_mask_paths"]


def map_mask_paths(item: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A copy of an item with every path of ``label`` and ``masks`` changed.

    Args:
        item: an item of a datalist; a ``label`` that is no text (a class, a list) stays.
        change: from path to path.

    Returns:
        the item; without masks it is an equal copy.
    """
    changed = dict(item)
    if isinstance(item.get("label"), str):
        changed["label"] = change(item["label"])
    if isinstance(item.get("masks"), Mapping):
        changed["masks"] = {name: _map(paths, change) for name, paths in item["masks"].items()}
    return changed


def resolve_mask_paths(item: Mapping[str, Any], folder: str | os.PathLike[str]) -> dict[str, Any]:
    """A copy of an item whose mask paths are absolute.

    Args:
        item: an item of a datalist.
        folder: what relative paths are relative to, usually the datalist's own folder.
    """
    return map_mask_paths(item, lambda path: os.path.normpath(Path(folder) / path))


def read_structure_values(path: str | os.PathLike[str]) -> dict[str, int | list[int]]:
    """The values of label maps that a datalist states at its top level: ``"structures": {"heart": 1, ...}``.

    Args:
        path: the datalist.

    Returns:
        value, or values, of each structure; empty when the datalist states none.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when ``structures`` is no mapping from names to whole numbers above 0.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    stated = content.get("structures", {}) if isinstance(content, Mapping) else {}
    if not isinstance(stated, Mapping) or not all(_is_value(value) for value in stated.values()):
        raise ValueError(
            f"datalist '{path}': \"structures\" must give one whole number above 0, or a list of them, for each "
            f'structure, such as {{"heart": 1, "lungs": [2, 3]}}; got {stated!r}.'
        )
    return dict(stated)


def _map(paths: Any, change: Callable[[str], str]) -> Any:
    if isinstance(paths, str):
        return change(paths)
    return [change(path) for path in paths] if isinstance(paths, list) else paths


def _is_value(value: Any) -> bool:
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in values)
