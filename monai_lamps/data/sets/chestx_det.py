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
"""ChestX-Det of Deepwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai_lamps.data.sets.choices import drop_missing
from monai_lamps.data.sets.files import index_files, locate, read_json

__all__ = ["CHESTX_DET_CLASSES", "read_chestx_det"]

#: the findings of the set
CHESTX_DET_CLASSES = (
    "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "Diffuse Nodule", "Effusion", "Emphysema",
    "Fibrosis", "Fracture", "Mass", "Nodule", "Pleural Thickening", "Pneumothorax",
)  # fmt: skip


def read_chestx_det(folder: Path, *, max_missing: float = 0.05) -> list[dict[str, Any]]:
    """ChestX-Det: 3,025 chest radiographs for training and 553 for test, outlines of 13 findings.

    The set is ``ChestX_Det_train.json`` and ``ChestX_Det_test.json`` and the images in ``train_data`` and ``test_data``
    (or ``train`` and ``test``); both parts are official. A finding that an image does not list is not there. The images
    come from ChestX-ray14 under other names, so patients are unknown and each image counts as one.

    Args:
        folder: where the set was unpacked.
        max_missing: largest share of the listed images that may be missing.

    Returns:
        items with ``labels`` and ``polygons``.

    Raises:
        FileNotFoundError: when a JSON file or a folder of images is missing.
        ValueError: for a file of another layout, an unknown finding, or too many missing images.
    """
    items: list[dict[str, Any]] = []
    for part in ("train", "test"):
        path = locate(folder, [f"ChestX_Det_{part}.json", f"{part}.json"], "outlines of ChestX-Det")
        images = index_files([locate(folder, [f"{part}_data", part], "images of ChestX-Det")], [".png", ".jpg"])
        content = read_json(path)
        if not isinstance(content, list) or not all(_is_entry(entry) for entry in content):
            raise ValueError(
                f"'{path}' must be a list of entries file_name, syms and as many polygons; take the original file."
            )
        split = {"split": "test"} if part == "test" else {}
        entries = (
            (entry["file_name"], images.get(entry["file_name"]), {**_rest(entry, path), **split}) for entry in content
        )
        items += drop_missing(entries, max_missing, f"'{path}'")
    return items


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and {"file_name", "syms", "polygons"} <= set(entry)
        and isinstance(entry["syms"], list)
        and isinstance(entry["polygons"], list)
        and len(entry["syms"]) == len(entry["polygons"])
    )


def _rest(entry: dict[str, Any], path: Path) -> dict[str, Any]:
    if unknown := set(entry["syms"]) - set(CHESTX_DET_CLASSES):
        raise ValueError(
            f"'{path}': image '{entry['file_name']}' has the finding '{sorted(unknown)[0]}'; known are "
            f"{', '.join(CHESTX_DET_CLASSES)}."
        )
    polygons: dict[str, list[Any]] = {name: [] for name in CHESTX_DET_CLASSES}
    for name, polygon in zip(entry["syms"], entry["polygons"]):
        polygons[name].append(polygon)
    labels = {name: int(bool(outlines)) for name, outlines in polygons.items()}
    return {"patient": Path(entry["file_name"]).stem, "labels": labels, "polygons": polygons}
