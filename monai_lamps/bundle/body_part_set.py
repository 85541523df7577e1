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
"""Built-in data of several organs: drawn body parts in a datalist that names them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from monai_lamps.data.datalist import check_shares, save_datalist
from monai_lamps.data.phantom.body_parts import BODY_PARTS, write_body_parts
from monai_lamps.data.phantom.body_parts.drawing import side_and_view

__all__ = ["body_part_datalist"]


def body_part_datalist(
    folder: str | Path,
    n: int = 60,
    size: int = 128,
    seed: int = 0,
    parts: Sequence[str] = BODY_PARTS,
    validation: float = 0.2,
) -> Path:
    """Draw radiographs of body parts and list them with ``organ``, ``laterality`` and ``view``.

    The images lie in a folder an organ (``FOLDER/images/hand/hand_00000.png``), each of a patient of its own; every
    part has its share of both sections. A second call with the same arguments finds them as they are. What is learned
    from them says nothing about real patients.

    Args:
        folder: made if absent.
        n: number of images of each part, at least 4.
        size: image side in px, at least 32.
        seed: number of the series.
        parts: body parts, at least two.
        validation: share of the images of each part that validates.

    Returns:
        path of the datalist.

    Raises:
        ValueError: when there are fewer than 4 images a part or fewer than two parts, a part is unknown, the share is
            not in [0, 1), or the folder holds other body parts.
    """
    if n < 4 or len(set(parts)) < 2:
        raise ValueError(f"body parts got {n} images each of {list(parts)}, expected at least 4 each of two or more.")
    check_shares(validation, 0.0)
    images = write_body_parts(Path(folder) / "images", n, size, seed, parts)
    datalist, settings = Path(folder) / "datalist.json", [n, size, seed, list(parts), validation]
    if datalist.is_file() and json.loads(datalist.read_text()).get("settings") == settings:
        return datalist
    items = [
        {
            "image": os.path.relpath(path, folder),
            "patient": path.stem,
            "organ": part,
            **{key: value for key, value in zip(("laterality", "view"), side_and_view(part, index, seed)) if value},
        }
        for part, paths in images.items()
        for index, path in enumerate(paths)
    ]
    first = n - round(n * validation)  # of each part the last ones validate
    sections = {
        "training": [item for number, item in enumerate(items) if number % n < first],
        "validation": [item for number, item in enumerate(items) if number % n >= first],
    }
    return save_datalist(datalist, sections, name="body part phantoms", settings=settings)
