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
"""MONAI datalists: read, write, split by patient."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.annotations.paths import resolve_mask_paths
from monai_lamps.data.atomic import atomic_write

__all__ = ["SECTIONS", "check_shares", "load_datalist", "save_datalist", "split_by_patient"]

#: sections of a MONAI datalist, in the order in which they are written
SECTIONS = ("training", "validation", "test")


def load_datalist(path: str | Path, key: str = "training", base_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """The items of one section of a MONAI datalist, with absolute image paths.

    MONAI's ``load_decathlon_datalist`` would do, but it refuses a section that is absent, and resolves against one
    folder only.

    Args:
        path: JSON file: {"training": [{"image": PATH, ...} or PATH, ...], "validation": [...], "test": [...]}.
        key: section; one that the file does not have is empty, if it has "training".
        base_dir: folder that relative paths are relative to; the datalist's own folder by default.

    Returns:
        dictionaries with ``image`` and whatever else the file says of it.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is not a datalist: not JSON, neither this nor a training section, a section that is no
            list, an item without an image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"datalist '{path}' does not exist; make one: python -m monai_lamps.data index FOLDER")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"datalist '{path}' is not valid JSON ({error}).") from error
    if not isinstance(content, Mapping) or not {"training", key} & content.keys():
        if there := [name for name in SECTIONS if name in content]:
            other = "" if key == "training" else f", or give --section {there[0]}"
            raise ValueError(
                f"datalist '{path}' has no section '{key}', only {' and '.join(there)}; add the section{other}."
            )
        raise ValueError(
            f"datalist '{path}' has no section 'training'; expected {{\"training\": [{{\"image\": PATH}}, ...]}}."
        )
    entries = content.get(key, [])
    if not isinstance(entries, list):
        raise ValueError(f"datalist '{path}': '{key}' must be a list of items, got {type(entries).__name__}.")
    folder = os.path.abspath(base_dir if base_dir is not None else path.parent)
    return [_item(entry, path, key, row, folder) for row, entry in enumerate(entries)]


def _item(entry: Any, path: Path, key: str, row: int, folder: str) -> dict[str, Any]:
    item = {"image": entry} if isinstance(entry, str) else dict(entry) if isinstance(entry, Mapping) else {}
    if not isinstance(item.get("image"), str) or not item["image"]:
        raise ValueError(f"datalist '{path}', {key}[{row}]: expected a path or {{'image': PATH}}, got {entry!r}.")
    item["image"] = os.path.normpath(os.path.join(folder, item["image"]))
    return resolve_mask_paths(item, folder)


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
        lines.append(f"  {json.dumps(name)}: [\n{rows}\n  ]" if rows else f"  {json.dumps(name)}: []")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    return atomic_write(path, lambda file: file.write(text.encode()))


def split_by_patient(
    items: Sequence[Mapping[str, Any]], validation: float = 0.1, test: float = 0.0, seed: int = 0
) -> dict[str, list[Mapping[str, Any]]]:
    """Split items so that a patient is in one section only.

    The section of a patient is a function of (seed, patient) alone, so adding images never moves others from one
    section to another. An item without a patient is a patient of its own, known by its path. Images without a given
    split follow that of their patient. One exception: when a section that was asked for, or training, would be empty,
    the nearest patient of the largest section goes there until there are more.

    Args:
        items: dictionaries with ``image`` and, where known, ``patient`` and ``split`` (one of the sections, obeyed;
            ``train`` and ``val`` are understood).
        validation: share of patients for validation.
        test: share of patients for test.
        seed: seed of the split.

    Returns:
        items by section, in their order, without ``split``; ``test`` only where it was asked for or given.

    Raises:
        ValueError: when the shares are not in [0, 1) or leave nothing to train on, a split has an unknown name, or a
            patient has two of them.
    """
    check_shares(validation, test)
    patients = [str(item.get("patient") or item["image"]) for item in items]
    given = _given_sections(items, patients)
    free = {patient: _uniform(seed, patient) for patient in patients if patient not in given}
    section = {patient: _section(value, validation, test) for patient, value in free.items()}
    wanted = {"training": 1 - validation - test, "validation": validation, "test": test}
    _fill_empty(section, free, [name for name in SECTIONS if wanted[name] and name not in given.values()])
    section.update(given)
    result: dict[str, list[Mapping[str, Any]]] = {name: [] for name in SECTIONS}
    for item, patient in zip(items, patients):
        result[section[patient]].append({key: value for key, value in item.items() if key != "split"})
    if not test and not result["test"]:
        del result["test"]
    return result


def check_shares(validation: float, test: float) -> None:
    """Raise ValueError unless both shares lie in [0, 1) and leave something to train on."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise ValueError(f"validation and test must be shares with a sum below 1, got {validation} and {test}.")


def _given_sections(items: Sequence[Mapping[str, Any]], patients: Sequence[str]) -> dict[str, str]:
    """Sections that the items ask for, by patient."""
    given: dict[str, str] = {}
    for item, patient in zip(items, patients):
        if not item.get("split"):
            continue
        name = str(item["split"])
        name = {"train": "training", "val": "validation"}.get(name, name)
        if name not in SECTIONS:
            raise ValueError(f"'{item['image']}' has the split '{name}', expected one of {', '.join(SECTIONS)}.")
        if given.setdefault(patient, name) != name:
            raise ValueError(
                f"patient '{patient}' has images in {given[patient]} and, with '{item['image']}', in {name}; "
                "give all images of a patient the same split."
            )
    return given


def _fill_empty(section: dict[str, str], values: Mapping[str, float], wanted: Sequence[str]) -> None:
    """Give each wanted section that is empty a patient of the largest one, as long as that keeps one; in place."""
    order = sorted(section, key=lambda patient: (values[patient], patient))
    for name in wanted:
        sizes = Counter(section.values())
        if name in sizes or not sizes or (name != "training" and len(section) <= 2):
            continue
        largest, size = max(sizes.items(), key=lambda pair: (pair[1], pair[0]))
        candidates = [patient for patient in order if section[patient] == largest]
        if size > 1 or name == "training":
            section[candidates[-1] if name == "training" else candidates[0]] = name


def _uniform(seed: int, patient: str) -> float:
    digest = hashlib.blake2b(f"{seed}/{patient}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _section(value: float, validation: float, test: float) -> str:
    return "validation" if value < validation else "test" if value < validation + test else "training"
