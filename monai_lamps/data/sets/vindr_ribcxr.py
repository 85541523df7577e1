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
"""VinDr-RibCXR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_lamps.data.sets.choices import check_choice, drop_missing, log_count
from monai_lamps.data.sets.files import index_files, locate, read_json

__all__ = ["RIBS", "read_vindr_ribcxr"]

#: name of each rib by its key in the set, R1 ... R10 and L1 ... L10
RIBS = {
    f"{key}{number}": f"{side} rib {number}" for key, side in (("R", "right"), ("L", "left")) for number in range(1, 11)
}
_NOTHING: tuple[Any, ...] = (None, "None", "nan", [])


def read_vindr_ribcxr(folder: Path, *, max_missing: float = 0.05, val_as: str = "test") -> list[dict[str, Any]]:
    """VinDr-RibCXR: 196 chest radiographs for training and 49 for validation, outlines of 20 ribs.

    The set is ``Vindr_RibCXR_train_mask.json`` and ``Vindr_RibCXR_val_mask.json``, in ``Annotations/train`` and ``val``
    or beside the images, and the images in ``train/img`` and ``val/img``, which are found by name. The ribs are
    ``right rib 1`` ... ``left rib 10``; one without an outline in the set is not there. An image is a patient.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.
        val_as: the section that the official val part becomes: "test", as the publications use it (validation is then
            drawn from the training part), or "validation".

    Returns:
        items with ``polygons``.

    Raises:
        FileNotFoundError: when a JSON file is missing.
        ValueError: for a file of another layout, an unknown option, or too many missing images.
    """
    check_choice("val_as", val_as, ("test", "validation"))
    items: list[dict[str, Any]] = []
    images = index_files([folder], (".png", ".jpg", ".jpeg"))
    for part, split in (("train", "training" if val_as == "validation" else None), ("val", val_as)):
        name = f"Vindr_RibCXR_{part}_mask.json"
        places = [
            f"{place}{name}" for place in ("", f"{part}/", f"Annotations/{part}/", f"data/{part}/", f"Data/{part}/")
        ]
        path = locate(folder, places, "outlines of VinDr-RibCXR")
        content = read_json(path)
        if not isinstance(content, Mapping) or (missing := [key for key in ("img", *RIBS) if key not in content]):
            lacks = f"'{missing[0]}'" if isinstance(content, Mapping) else "entries"
            raise ValueError(
                f"'{path}' has no {lacks}; expected img, R1 ... R10 and L1 ... L10: take the original file."
            )
        rest = {"split": split} if split else {}
        entries = []
        for row, image in content["img"].items():
            stem = Path(image).name
            outlines = {
                rib: _outline(content[key].get(row), f"{key} of '{image}' in '{path}'") for key, rib in RIBS.items()
            }
            entries.append((image, images.get(stem), {"patient": Path(stem).stem, "polygons": outlines, **rest}))
        items += drop_missing(entries, max_missing, f"'{path}'")
    without = [
        f"{rib} of {item['patient']}" for item in items for rib, outline in item["polygons"].items() if not outline
    ]
    log_count(without, "ribs have no outline: taken as not there")
    return items


def _outline(points: Any, where: str) -> list[list[list[float]]]:
    """The polygons of one rib: none or one."""
    if points in _NOTHING or points != points:
        return []
    if not isinstance(points, list) or not all(
        isinstance(point, Mapping) and {"x", "y"} <= set(point) for point in points
    ):
        raise ValueError(f"{where} must be a list of points {{'x': ..., 'y': ...}}, got {str(points)[:60]}.")
    return [[[float(point["x"]), float(point["y"])] for point in points]]
