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

"""Drawn radiographs as a folder of PNG files, so that the ordinary pipeline can run on them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monai_lamps.data.atomic import atomic_write
from monai_lamps.data.phantom.drawing import check_drawing, draw_thorax

__all__ = ["write_phantoms"]

_RECORD = ".phantoms.json"
_MEND = "give an empty folder or delete this one"
_DRAWING_VERSION = 1  # raise it when the drawing changes, so that older folders are not taken for new ones


def _read_record(path: Path) -> dict[str, Any] | None:
    """The record of an earlier call; None when there is none or it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_phantoms(folder: str | Path, n: int, size: int = 256, seed: int = 0, opacities: float = 0.0) -> list[Path]:
    """Write the first ``n`` images of a :class:`~monai_lamps.data.phantom.dataset.ThoraxPhantom` as 8-bit grey PNG.

    The files are ``thorax_00000.png`` and so on. A hidden record beside them (``.phantoms.json``) holds the arguments:
    a second call with the same arguments draws only what is missing, so nothing if the folder is complete, and a
    larger ``n`` adds images. Each file is written atomically; an interrupted call is taken up where it stopped, and
    several processes may write the same folder at once.

    Args:
        folder: made if absent.
        n: number of images, at least 1.
        size: image side in pixels, at least 32.
        seed: number of the series, at least 0.
        opacities: probability in [0, 1] of lung opacities.

    Returns:
        the ``n`` paths in the order of their index.

    Raises:
        TypeError: when ``n``, ``size`` or ``seed`` is not an integer.
        ValueError: when an argument is out of range, or the folder holds phantoms of other or unknown
            arguments, or more than ``n``.
        NotADirectoryError: when ``folder`` is a file.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"n must be an integer, got {n!r} of type {type(n).__name__}.")
    if n < 1:
        raise ValueError(f"n must be at least 1 image, got {n}.")
    check_drawing(size, seed, opacities)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, expected a folder for the images; give another path.")
    wanted = {"version": _DRAWING_VERSION, "size": int(size), "seed": int(seed), "opacities": float(opacities)}
    paths = [folder / f"thorax_{i:05d}.png" for i in range(n)]
    present = set(folder.glob("thorax_*.png"))  # before the record: whoever writes, writes the record first
    record = _read_record(folder / _RECORD)
    found = None if record is None else {key: record.get(key) for key in wanted}
    if found != wanted and (record is not None or present):
        raise ValueError(f"{folder} holds phantoms of {found or 'unknown arguments'}, expected {wanted}; {_MEND}.")
    extra = sorted(present - set(paths))
    if extra:
        raise ValueError(
            f"{folder} holds {len(extra)} phantoms beyond the {n} asked for, such as {extra[0].name}; "
            f"give a larger n, or {_MEND}."
        )
    if record is None:
        content = json.dumps(wanted).encode()
        atomic_write(folder / _RECORD, lambda file: file.write(content))
    for index, path in enumerate(paths):
        if path not in present:
            grey = np.rint(draw_thorax(index, size, seed, opacities)[0] * 255).astype(np.uint8)
            atomic_write(path, partial(Image.fromarray(grey).save, format="PNG"))
    return paths
