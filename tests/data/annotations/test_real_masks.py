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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.transforms import Compose

from monai_lamps.transforms.load_radiograph import LoadRadiographd
from monai_lamps.transforms.load_structures import LoadStructuresd


def items_of(data: Path, source: str, number: int) -> list[dict[str, Any]]:
    """The first items of a source of the pack, by its manifest."""
    with open(data / "manifest.csv", newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["source"] == source][:number]
    items = []
    for row in rows:
        pairs = (pair.partition(":") for pair in row["masks"].split(";"))
        masks = {name.replace("_", " "): str(data / path) for name, _, path in pairs}
        items.append({"image": str(data / row["file"]), "masks": masks})
    return items


def middle(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


@pytest.mark.parametrize(("source", "number"), [("jsrt", 3), ("montgomery", 3)])
def test_the_masks_of_real_films_lie_on_the_lungs(shared: Path, source: str, number: int) -> None:
    load = Compose([LoadRadiographd("image"), LoadStructuresd("label", ["left lung", "right lung"])])
    for item in items_of(shared / "data", source, number):
        loaded = load(item)
        image, (left, right) = loaded["image"][0].numpy(), loaded["label"].numpy() > 0
        assert middle(left)[1] > middle(right)[1]  # the patient's left
        between = np.zeros_like(left)
        between[:, int(middle(right)[1]) : int(middle(left)[1])] = True
        rows = np.nonzero((left | right).any(axis=1))[0]
        between[: rows[0]] = between[rows[-1] :] = False
        assert (
            image[left | right].mean() < image[between & ~(left | right)].mean()
        )  # lungs are darker than what is between


def test_clavicles_stay_whole_where_they_cover_the_lungs(shared: Path) -> None:
    parts = {"lungs": ["left lung", "right lung"], "clavicles": ["left clavicle", "right clavicle"]}
    load = Compose([LoadRadiographd("image"), LoadStructuresd("label", parts)])
    lungs, clavicles = load(items_of(shared / "data", "jsrt", 1)[0])["label"].numpy() > 0
    assert (lungs & clavicles).sum() > 0.5 * clavicles.sum()


def test_a_mask_of_scr_fits_its_film_of_twice_the_size(shared: Path) -> None:
    native, pack = shared / "data" / "native", shared / "data" / "jsrt"
    item = {
        "image": str(native / "jsrt_JPCLN010_palette_inverted.png"),
        "masks": {"heart": str(native / "jsrt_JPCLN010_heart_mask.gif")},
        "mask_scale": 2,
    }
    load = Compose([LoadRadiographd("image"), LoadStructuresd("label", ["heart"])])
    large = load(item)["label"][0].numpy()[::4, ::4] > 0
    small = {"image": str(pack / "images" / "JPCLN010.jpg"), "masks": {"heart": str(pack / "masks/heart/JPCLN010.png")}}
    heart = load(small)["label"][0].numpy() > 0
    assert (large & heart).sum() > 0.98 * (large | heart).sum()
