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
"""Finding the files of a set, and reading its tables."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["IMAGE_SUFFIXES", "find", "index_files", "locate", "read_json", "read_table"]

#: suffixes of images, in the order of preference where a set has an image in several formats
IMAGE_SUFFIXES = (".img", ".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".nii", ".gz")
_DEPTH = 2  # folders below the given one in which a set may lie: archives pack their own folder, sometimes twice


def find(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of some files or folders that exists in a folder or up to two folders below it.

    Args:
        folder: where the set was unpacked.
        names: relative paths, possibly with wildcards, the preferred one first.

    Returns:
        its path, ``None`` when there is none.

    Raises:
        FileNotFoundError: when the folder does not exist.
        ValueError: when there are several at the same depth.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is not a folder; give the folder that the set was unpacked into.")
    for depth in range(_DEPTH + 1):
        for name in names:
            matches = sorted(folder.glob("*/" * depth + name))
            if len(matches) > 1:
                raise ValueError(
                    f"'{folder}' holds several '{name}': {', '.join(map(str, matches[:3]))}; give the folder of the "
                    "one that is meant."
                )
            if matches:
                return matches[0]
    return None


def locate(folder: Path, names: Sequence[str], what: str) -> Path:
    """As :func:`find`, but there has to be one.

    Args:
        folder: where the set was unpacked.
        names: relative paths, possibly with wildcards, the preferred one first.
        what: what it is, for the error.

    Raises:
        FileNotFoundError: when there is none; else as :func:`find`.
    """
    found = find(folder, names)
    if found is None:
        raise FileNotFoundError(
            f"'{folder}' has no {' or '.join(repr(name) for name in names)} ({what}), nor has any folder up to two "
            "below it; give the folder that the set was unpacked into, or download what is missing."
        )
    return found


def index_files(
    folders: Iterable[Path], suffixes: Sequence[str], key: Callable[[Path], str | None] = lambda path: path.name
) -> dict[str, Path]:
    """The files below some folders by name.

    Args:
        folders: searched recursively.
        suffixes: wanted suffixes, in lower case, the preferred one first where a key has several.
        key: the key of a file, its name by default; ``None`` leaves it out.

    Returns:
        path by key.

    Raises:
        ValueError: when two files of the same suffix have the same key.
    """
    rank = {suffix: number for number, suffix in enumerate(suffixes)}
    found: dict[str, Path] = {}
    for folder in folders:
        for root, subfolders, names in os.walk(folder, followlinks=True):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for path in (Path(root) / name for name in sorted(names) if not name.startswith(".")):
                suffix, name = path.suffix.lower(), key(path) if path.suffix.lower() in rank else None
                if name is None:
                    continue
                other = found.get(name)
                if other is not None and other.suffix.lower() == suffix:
                    raise ValueError(f"'{name}' lies both at '{other}' and at '{path}'; move one of the copies away.")
                if other is None or rank[suffix] < rank[other.suffix.lower()]:
                    found[name] = path
    return found


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file, names of columns and values without surrounding spaces.

    Args:
        path: the file, with a header.
        columns: those that it has to have.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when a column is missing or there are no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"table '{path}' does not exist; download it with the set.")
    with open(path, newline="", encoding="utf-8-sig") as handle:
        reader = csv.reader(handle)
        names = [name.strip() for name in next(reader, [])]
        if missing := [column for column in columns if column not in names]:
            raise ValueError(
                f"table '{path}' has no column '{missing[0]}'; it has {', '.join(names) or 'none'}: take the original "
                "table of the set."
            )
        rows = [dict(zip(names, (value.strip() for value in row))) for row in reader if row]
    if not rows:
        raise ValueError(f"table '{path}' has no rows; download it again.")
    if short := [number for number, row in enumerate(rows, 2) if any(column not in row for column in columns)]:
        raise ValueError(f"table '{path}' has fewer values than columns in row {short[0]}; download it again.")
    return rows


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: when it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is not valid JSON ({error}); download it again.") from error
