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
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.atomic import atomic_write

__all__ = ["SECTIONS", "load_datalist", "save_datalist", "split_by_patient"]

#: sections of a MONAI datalist, in the order in which they are written
SECTIONS = ("training", "validation", "test")


def load_datalist(
    path: str | Path, key: str = "training", base_dir: str | Path | None = None
) -> list[dict[str, Any]]:
    """The items of one section of a MONAI datalist, with absolute image paths.

    MONAI's ``load_decathlon_datalist`` would do, but it refuses a section that is absent, and resolves against one
    folder only.

    Args:
        path: JSON file: {"training": [{"image": PATH, ...} or PATH, ...], "validation": [...], "test": [...]}.
        key: section; one that the file does not have is empty, except "training".
        base_dir: folder that relative paths are relative to; the datalist's own folder by default.

    Returns:
        dictionaries with ``image`` and whatever else the file says of it.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is not a datalist: not JSON, no training section, an item without an image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"datalist '{path}' does not exist; make one: python -m monai_lamps.data index FOLDER")
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"datalist '{path}' is not valid JSON ({error}).") from error
    if not isinstance(content, Mapping) or "training" not in content:
        raise ValueError(
            f"datalist '{path}' has no section 'training'; expected {{\"training\": [{{\"image\": PATH}}, ...]}}."
        )
    folder = Path(os.path.abspath(base_dir if base_dir is not None else path.parent))
    return [_item(entry, path, key, row, folder) for row, entry in enumerate(content.get(key, []))]


def _item(entry: Any, path: Path, key: str, row: int, folder: Path) -> dict[str, Any]:
    item = {"image": entry} if isinstance(entry, str) else dict(entry) if isinstance(entry, Mapping) else {}
    if not isinstance(item.get("image"), str) or not item["image"]:
        raise ValueError(f"datalist '{path}', {key}[{row}]: expected a path or a dictionary with 'image', got {entry!r}.")
    item["image"] = os.path.normpath(folder / item["image"])
    return item


def save_datalist(path: str | Path, sections: Mapping[str, Sequence[Mapping[str, Any]]], **header: Any) -> Path:
    """Write a MONAI datalist, atomically, one item a line.

    Args:
        path: the JSON file.
        sections: items of every section.
        header: further top-level entries, such as name, description and source.
    """
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in header.items()]
    for name, items in sections.items():
        rows = ",\n".join(f"    {json.dumps(dict(item))}" for item in items)
        lines.append(f'  {json.dumps(name)}: [\n{rows}\n  ]' if rows else f"  {json.dumps(name)}: []")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    return atomic_write(path, lambda file: file.write(text.encode()))


def split_by_patient(
    items: Sequence[Mapping[str, Any]], validation: float = 0.1, test: float = 0.0, seed: int = 0
) -> dict[str, list[Mapping[str, Any]]]:
    """Split items so that a patient is in one section only.

    The section of a patient is a function of (seed, patient) alone, so adding images never moves others from one
    section to another. An item without a patient is a patient of its own, known by its path. When a section that was
    asked for stays empty, the patient that is nearest to it goes there.

    Args:
        items: dictionaries with ``image`` and, where known, ``patient`` and ``split`` (one of the sections, obeyed).
        validation: share of patients for validation.
        test: share of patients for test.
        seed: seed of the split.

    Returns:
        items by section, in their order.

    Raises:
        ValueError: when the shares are not in [0, 1) or leave nothing to train on, or a split has an unknown name.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise ValueError(f"validation and test must be shares with a sum below 1, got {validation} and {test}.")
    patients = [str(item.get("patient") or item["image"]) for item in items]
    free = {p: _uniform(seed, p) for item, p in zip(items, patients) if not item.get("split")}
    section = {p: _section(u, validation, test) for p, u in free.items()}
    for name, share in (("validation", validation), ("test", test)):
        if share and len(free) > 2 and name not in section.values():
            candidates = [p for p in free if section[p] == "training"]
            section[min(candidates, key=lambda p: free[p])] = name
    result: dict[str, list[Mapping[str, Any]]] = {name: [] for name in SECTIONS}
    for item, patient in zip(items, patients):
        name = str(item.get("split") or section.get(patient))
        name = {"train": "training", "val": "validation"}.get(name, name)
        if name not in result:
            raise ValueError(f"'{item['image']}' has the split '{name}', expected one of {', '.join(SECTIONS)}.")
        result[name].append({key: value for key, value in item.items() if key != "split"})
    if not test and not result["test"]:
        del result["test"]
    return result


def _uniform(seed: int, patient: str) -> float:
    digest = hashlib.blake2b(f"{seed}/{patient}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _section(value: float, validation: float, test: float) -> str:
    return "validation" if value < validation else "test" if value < validation + test else "training"
