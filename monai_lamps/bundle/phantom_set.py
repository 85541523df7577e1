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
"""Built-in data to fine-tune on: drawn thoraces with masks and labels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monai_lamps.data.atomic import atomic_write
from monai_lamps.data.datalist import save_datalist
from monai_lamps.data.phantom import STRUCTURES, ThoraxDrawing, draw_annotated_thorax, write_phantoms

__all__ = ["annotated_phantoms"]

_PARTS = {"training": 0.5, "validation": 0.25, "test": 0.25}
_LABELS: dict[str, Callable[[ThoraxDrawing], bool]] = {
    "opacity": lambda drawing: bool(drawing.opacity_mask.any()),
    "breast_shadows": lambda drawing: drawing.breast_shadows,
}


def annotated_phantoms(
    folder: str | Path,
    n: int = 120,
    size: int = 128,
    seed: int = 0,
    structures: Sequence[str] = ("right_lung", "left_lung", "heart"),
    opacities: float = 0.5,
    labels: Sequence[str] = ("opacity",),
) -> Path:
    """Draw thoraces with masks of some structures and with labels, half for training, a quarter each for validation and
    test.

    A second call with the same arguments finds them as they are. What is learned from them says nothing about real
    patients.

    Args:
        folder: made if absent.
        n: number of images, at least 4.
        size: image side in px, at least 32.
        seed: number of the series.
        structures: which masks are written; may be empty.
        opacities: share of the images with lung opacities.
        labels: what images are labelled with: ``opacity`` (small and faint ones too: it takes many images to learn),
            ``breast_shadows`` (in about 45 % of the images, learned from a few dozen).

    Returns:
        path of the datalist.

    Raises:
        ValueError: when a structure or a label is unknown, there are fewer than 4 images, or the folder holds other
            phantoms.
    """
    unknown = [name for name in structures if name not in STRUCTURES]
    if unknown or n < 4:
        raise ValueError(
            f"phantoms got {n} images with masks of {list(structures)}, expected at least 4 images and some of "
            f"{', '.join(STRUCTURES)}."
        )
    if not set(labels) <= set(_LABELS):
        raise ValueError(f"labels got {list(labels)}, expected some of {', '.join(_LABELS)}.")
    images = write_phantoms(Path(folder) / "images", n, size, seed, opacities)
    datalist, settings = Path(folder) / "datalist.json", [n, size, seed, list(structures), opacities, list(labels)]
    if datalist.is_file() and json.loads(datalist.read_text()).get("settings") == settings:
        return datalist
    drawings = (draw_annotated_thorax(number, size, seed, opacities) for number in range(n))
    items = [_annotate(Path(folder), *drawn, structures, labels) for drawn in zip(images, drawings)]
    ends = np.cumsum([round(n * share) for share in list(_PARTS.values())[:-1]]).tolist()
    parts = zip([0, *ends], [*ends, n])
    sections = {name: items[start:end] for name, (start, end) in zip(_PARTS, parts)}
    return save_datalist(datalist, sections, name="thorax phantoms", settings=settings)


def _annotate(
    folder: Path, image: Path, drawing: ThoraxDrawing, structures: Sequence[str], labels: Sequence[str]
) -> dict[str, Any]:
    masks = {}
    for name in structures:
        path = folder / "masks" / name / image.name
        picture = Image.fromarray(np.where(drawing.masks[STRUCTURES.index(name)], 255, 0).astype(np.uint8))
        atomic_write(path, partial(picture.save, format="PNG"))
        masks[name] = os.path.relpath(path, folder)
    return {
        "image": os.path.relpath(image, folder),
        "patient": image.stem,
        "masks": masks,
        "labels": {name: int(_LABELS[name](drawing)) for name in labels},
    }
