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

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.annotations import AnnotationError
from monai_lamps.data.atomic import atomic_write

from .points import Points, named_points

__all__ = ["LandmarkFile", "read_landmarks", "save_landmarks"]

#: for each image and structure (k, 2) positions (row, column), px
Table = dict[str, dict[str, npt.NDArray[np.float32]]]
_COLUMNS = ("file", "structure", "x", "y")
_EXPECTED = '{"images/a.png": {"heart": [[x, y], ...], ...}, ...}'


class LandmarkFile:
    """Landmarks that a file lists, found by the end of an image's path.

    An entry ``jsrt/images/a.png`` belongs to any image whose path ends so, wherever the data lie; where the file names
    have no folders, the names alone must be different.

    Args:
        path: see :func:`read_landmarks`.
        per_structure: see :func:`~monai_lamps.data.landmarks.named_points`.

    Raises:
        AnnotationError: when the file cannot be used.
    """

    def __init__(self, path: str | Path, per_structure: int = 0) -> None:
        self.path, self.per_structure = Path(path), per_structure
        self._table = read_landmarks(path)

    def __call__(self, item: Mapping[str, Any], masks: Mapping[str, npt.NDArray[np.bool_]]) -> Points:
        """Points of an item of a datalist; none when the file does not list its image.

        Args:
            item: with ``image``, its path.
            masks: not used.
        """
        return named_points(self._entry(os.fspath(item["image"])), self.per_structure)

    def _entry(self, image: str) -> Mapping[str, npt.NDArray[np.float32]]:
        parts = PurePosixPath(image.replace(os.sep, "/")).parts
        endings = [image, *("/".join(parts[start:]) for start in range(len(parts)))]  # the longest first
        return next((self._table[ending] for ending in endings if ending in self._table), {})


def read_landmarks(path: str | Path) -> Table:
    """Read a file of landmarks.

    - JSON: for each image file, for each structure, a list of ``[x, y]`` (or null for a point that is not known);
    - CSV: the columns ``file``, ``structure``, ``x`` and ``y``, a row for each point, in the order of the points.

    ``x`` counts columns and ``y`` rows, px of the image file, whole numbers at pixel centres. A structure has the same
    number of points in every image that lists it.

    Args:
        path: the file, ``.json`` or ``.csv``.

    Returns:
        for each image and structure (k, 2) positions (row, column), NaN for a point that is not known.

    Raises:
        FileNotFoundError: when there is no such file.
        AnnotationError: when the file is not of this form, or numbers of points differ.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"landmarks '{path}' do not exist; give a JSON or CSV file, 'masks' or 'none'.")
    try:
        content = _read_csv(path) if path.suffix.lower() == ".csv" else json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AnnotationError(f"landmarks '{path}' are not valid JSON ({error}); expected {_EXPECTED}.") from error
    if not isinstance(content, Mapping) or not content:
        raise AnnotationError(f"landmarks '{path}' name no image; expected {_EXPECTED}.")
    table: Table = {}
    for image, structures in content.items():
        if not isinstance(structures, Mapping):
            raise AnnotationError(
                f"landmarks '{path}': '{image}' holds a {type(structures).__name__}; expected {_EXPECTED}."
            )
        table[image] = {
            name: _positions(points, f"landmarks '{path}': '{name}' of '{image}'")
            for name, points in structures.items()
        }
    _check_counts(table, path)
    return table


def save_landmarks(path: str | Path, images: Mapping[str, Mapping[str, npt.ArrayLike]]) -> Path:
    """Write landmarks as JSON, see :func:`read_landmarks`, one image a line.

    Args:
        path: the file.
        images: for each image (a path, usually relative to the file's folder) and structure (k, 2) positions
            (row, column), px; NaN for a point that is not known.
    """
    lines = []
    for image, structures in images.items():
        lists = {
            name: [
                [round(column, 2), round(row, 2)] if math.isfinite(row + column) else None
                for row, column in np.asarray(positions, np.float64).reshape(-1, 2).tolist()
            ]
            for name, positions in structures.items()
        }
        lines.append(f"{json.dumps(image)}: {json.dumps(lists)}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    return atomic_write(path, lambda file: file.write(text.encode()))


def _read_csv(path: Path) -> dict[str, dict[str, list[list[str]]]]:
    content: dict[str, dict[str, list[list[str]]]] = {}
    with open(path, newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise AnnotationError(
                f"landmarks '{path}' lack the column '{missing[0]}'; expected {', '.join(_COLUMNS)}, a row a point."
            )
        for row in reader:
            content.setdefault(row["file"], {}).setdefault(row["structure"], []).append([row["x"], row["y"]])
    return content


def _positions(points: Any, where: str) -> npt.NDArray[np.float32]:
    if not isinstance(points, Sequence) or isinstance(points, str):
        raise AnnotationError(f"{where} must be a list of [x, y], got {points!r}.")
    positions = np.full((len(points), 2), np.nan, np.float32)
    for number, point in enumerate(points):
        if point is None or point == ["", ""]:
            continue
        try:
            x, y = (float(value) for value in point)
        except (TypeError, ValueError):
            x = y = math.nan
        if not (math.isfinite(x) and math.isfinite(y)):
            raise AnnotationError(f"{where}: point {number + 1} must be [x, y] in px, got {point!r}; null if unknown.")
        positions[number] = y, x
    return positions


def _check_counts(table: Table, path: Path) -> None:
    first: dict[str, tuple[int, str]] = {}
    for image, structures in table.items():
        for name, positions in structures.items():
            count, example = first.setdefault(name, (len(positions), image))
            if len(positions) != count:
                raise AnnotationError(
                    f"landmarks '{path}': '{name}' has {len(positions)} points in '{image}' and {count} in "
                    f"'{example}'; list the same points in the same order, null for one that is not known."
                )
