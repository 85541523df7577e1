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
"""Drawn body parts as folders of PNG files, one folder a part, so that the ordinary pipeline can run on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from monai_lamps.data.atomic import atomic_write
from monai_lamps.data.phantom.body_parts.drawing import BODY_PARTS, check_part, draw_body_part
from monai_lamps.data.phantom.drawing import check_drawing

__all__ = ["write_body_parts"]

_RECORD = ".body_parts.json"
_DRAWING_VERSION = 1  # raise it when the drawing changes, so that older folders are not taken for new ones


def write_body_parts(
    folder: str | Path, n: int, size: int = 256, seed: int = 0, parts: Sequence[str] = BODY_PARTS
) -> dict[str, list[Path]]:
    """Write the first ``n`` images of each body part as 8-bit grey PNG, ``hand/hand_00000.png`` and so on.

    A hidden record (``.body_parts.json``) holds the arguments: a second call with the same ones draws only what is
    missing. Each file is written atomically, several processes may write the same folder at once.

    Args:
        folder: made if absent.
        n: number of images of each part, at least 1.
        size: image side in pixels, at least 32.
        seed: number of the series, at least 0.
        parts: some of :data:`BODY_PARTS`.

    Returns:
        the ``n`` paths of each part in the order of their index.

    Raises:
        TypeError: when ``n``, ``size`` or ``seed`` is not an integer.
        ValueError: when an argument is out of range, or the folder holds body parts of other arguments.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"n must be an integer, got {n!r} of type {type(n).__name__}.")
    if n < 1 or not parts:
        raise ValueError(f"n must be at least 1 image of at least one part, got {n} of {list(parts)}.")
    check_drawing(size, seed, 0.0)
    for part in parts:
        check_part(part)
    folder = Path(folder)
    _claim(folder / _RECORD, {"version": _DRAWING_VERSION, "n": int(n), "size": int(size), "seed": int(seed)}, parts)
    paths = {part: [folder / part / f"{part}_{index:05d}.png" for index in range(n)] for part in parts}
    for part, files in paths.items():
        for index, path in enumerate(files):
            if not path.exists():
                grey = np.rint(draw_body_part(part, index, size, seed).image[0] * 255).astype(np.uint8)
                atomic_write(path, partial(Image.fromarray(grey).save, format="PNG"))
    return paths


def _claim(record: Path, settings: dict[str, int], parts: Sequence[str]) -> None:
    """Record the arguments in the folder, or refuse a folder that has others."""
    wanted = {**settings, "parts": sorted(parts)}
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
        held = sorted(name for name in BODY_PARTS if any((record.parent / name).glob(f"{name}_*.png")))
        if held:
            raise ValueError(
                f"{record.parent} holds body parts of unknown arguments ({', '.join(held)}); give an empty folder or "
                "delete this one."
            ) from None
    except ValueError:
        found = "unknown arguments"
    if found is not None and found != wanted:
        raise ValueError(
            f"{record.parent} holds body parts of {found}, expected {wanted}; give an empty folder or delete this one."
        )
    if found is None:
        content = json.dumps(wanted).encode()
        atomic_write(record, lambda file: file.write(content))
