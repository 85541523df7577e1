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
"""JSRT films with the masks of the SCR database."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
from PIL import Image

from monai_lamps.data.jsrt_raw import JSRT_SIZE
from monai_lamps.data.sets.choices import check_choice, log_count
from monai_lamps.data.sets.files import IMAGE_SUFFIXES, index_files

__all__ = ["SCR_STRUCTURES", "read_jsrt"]

#: structures of SCR; left and right are the patient's
SCR_STRUCTURES = ("heart", "left lung", "right lung", "left clavicle", "right clavicle")
_NAME = re.compile(r"^(JPC(?:LN|NN)\d{3})(?!\d)", re.IGNORECASE)
_MASK_SUFFIXES = (".gif", ".png", ".bmp", ".tif", ".tiff")
_OTHER_FOLDERS = ("masks", "landmarks", "points")


def read_jsrt(
    folder: Path, *, max_missing: float = 0.05, scr: str | None = None, test_fold: int = 2
) -> list[dict[str, Any]]:
    """JSRT: 247 chest films, nodule or none, with SCR masks of heart, lungs and clavicles.

    Films are ``JPCLN001.IMG`` ... ``JPCNN093.IMG`` (raw, 12 bits) or copies in another format with these names, a raw
    one being preferred; masks lie in folders such as ``fold1/masks/left lung/JPCLN001.gif``, at half the size of the
    raw films, which the item's ``mask_scale`` says. SCR evaluates in two folds, odd and even numbers: one is trained on
    and the other is tested on. The label ``nodule`` is in the name (LN: nodule, NN: none). A film is a patient.

    Args:
        folder: where the films are, with SCR below it or in ``scr``.
        max_missing: largest share of the 247 films that may be missing.
        scr: folder of SCR, if it is another one; films without masks are kept for classification.
        test_fold: the fold kept for test, 1 (odd numbers) or 2 (even numbers), or 0 for a split by shares.

    Returns:
        items with ``labels`` and, where SCR has them, ``masks`` and ``mask_scale``.

    Raises:
        FileNotFoundError: when there is no film, or no mask in ``scr``.
        ValueError: for too many missing films, an unknown fold, or masks that are no whole part of the film's size.
    """
    check_choice("test_fold", test_fold, (0, 1, 2))
    place = Path(os.path.abspath(scr)) if scr else folder
    for path in (folder, place):
        if not path.is_dir():
            raise FileNotFoundError(f"'{path}' is not a folder; give the folder that the set was unpacked into.")
    films = index_files([folder], IMAGE_SUFFIXES, _film)
    if not films:
        raise FileNotFoundError(f"'{folder}' has no film such as JPCLN001.IMG or JPCLN001.png; download JSRT.")
    _check_complete(films, max_missing, folder)
    masks = index_files([place], _MASK_SUFFIXES, _mask)
    if scr and not masks:
        raise FileNotFoundError(f"'{scr}' has no masks such as fold1/masks/heart/JPCLN001.gif; download SCR.")
    items = [_item(name, film, masks, test_fold) for name, film in sorted(films.items())]
    log_count([item["patient"] for item in items if "masks" not in item], "films have no SCR masks")
    counts = Counter(name for item in items for name in item.get("masks", ()))
    partly = [name for name in SCR_STRUCTURES if 0 < counts[name] < max(counts.values(), default=0)]
    log_count(partly, "structures lack masks that other structures of the film have: there they are not annotated")
    return items


def _film(path: Path) -> str | None:
    match = _NAME.match(path.name)
    return match[1].upper() if match and _structure(path) not in (*SCR_STRUCTURES, *_OTHER_FOLDERS) else None


def _mask(path: Path) -> str | None:
    """Key of a mask: structure/film."""
    match, structure = _NAME.match(path.name), _structure(path)
    return f"{structure}/{match[1].upper()}" if match and structure in SCR_STRUCTURES else None


def _structure(path: Path) -> str:
    """The structure that the folder of a mask is named after."""
    return path.parent.name.lower().replace("_", " ")


def _item(name: str, film: Path, masks: Mapping[str, Path], test_fold: int) -> dict[str, Any]:
    item: dict[str, Any] = {"image": str(film), "patient": name, "labels": {"nodule": int(name.startswith("JPCLN"))}}
    if test_fold and 2 - int(name[-1]) % 2 == test_fold:
        item["split"] = "test"
    own = {structure: masks[key] for structure in SCR_STRUCTURES if (key := f"{structure}/{name}") in masks}
    if own:
        item["masks"] = {structure: str(path) for structure, path in own.items()}
        item["mask_scale"] = _scale(film, next(iter(own.values())))
    return item


def _scale(film: Path, mask: Path) -> int:
    height, width = _size(film)
    with Image.open(mask) as picture:
        columns, rows = picture.size
    if width % columns or height % rows or width // columns != height // rows:
        raise ValueError(
            f"mask '{mask}' has {columns} x {rows} pixels and film '{film}' {width} x {height} (width x height), which "
            "is no whole multiple; take the original films (2048 x 2048), or resize films or masks to one size."
        )
    return int(width // columns)


def _size(film: Path) -> tuple[int, int]:
    """(height, width) of a film, from its header where it has one."""
    if film.suffix.lower() == ".img":
        return JSRT_SIZE
    if film.suffix.lower() in (".dcm", ".dicom"):
        header = pydicom.dcmread(film, stop_before_pixels=True)
        return int(header.Rows), int(header.Columns)
    with Image.open(film) as picture:
        return picture.size[1], picture.size[0]


def _check_complete(films: Mapping[str, Path], max_missing: float, folder: Path) -> None:
    wanted = [f"JPCLN{number:03d}" for number in range(1, 155)] + [f"JPCNN{number:03d}" for number in range(1, 94)]
    missing = [name for name in wanted if name not in films]
    if len(missing) > max_missing * len(wanted):
        raise ValueError(
            f"{len(missing)} of the 247 films are not in '{folder}', more than the allowed {max_missing:.0%} (first: "
            f"{', '.join(missing[:3])}). Download the rest, or raise max_missing to work with a part of the set."
        )
    log_count(missing, f"of 247 films are not in '{folder}'")
