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
import torch
from ignite.engine import Engine
from PIL import Image

from monai_lamps.data.annotations import read_binary_mask
from monai_lamps.handlers import MaskWriter
from monai_lamps.handlers.mask_writer import unique_names


def _items(folder: Path, sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    items = []
    for number, (height, width) in enumerate(sizes):
        path = folder / f"{number}.png"
        Image.fromarray(np.arange(height * width, dtype=np.uint32).astype(np.uint8).reshape(height, width)).save(path)
        items.append({"image": str(path)})
    return items


def _answer(left: int) -> torch.Tensor:
    """Two structures on 32 x 32: a square that begins at a column, and nothing."""
    answer = torch.zeros(2, 32, 32)
    answer[0, 8:24, left : left + 16] = 1
    return answer


def _run(writer: MaskWriter, sizes: list[tuple[int, int]], answers: list[torch.Tensor]) -> None:
    def step(engine: Engine, batch: Any) -> dict[str, torch.Tensor]:
        engine.state.batch = {"size": torch.tensor(sizes)}
        return {"image": torch.rand(len(sizes), 1, 32, 32), "pred": torch.stack(answers)}

    engine = Engine(step)
    writer.attach(engine)
    engine.run([0])


def test_masks_have_the_size_of_the_file_and_lie_in_their_place(tmp_path: Path) -> None:
    sizes = [(64, 96), (32, 32)]
    items = _items(tmp_path, sizes)
    _run(MaskWriter(tmp_path / "out", items, ["left lung", "heart"]), sizes, [_answer(8), _answer(0)])
    mask = read_binary_mask(tmp_path / "out" / "masks" / "0" / "left_lung.png")
    expected = np.zeros((64, 96), dtype=bool)
    expected[16:48, 24:72] = True
    assert (mask != expected).sum() <= 4  # interpolation takes the corners off
    assert not read_binary_mask(tmp_path / "out" / "masks" / "0" / "heart.png").any()
    with open(tmp_path / "out" / "masks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "image": items[0]["image"], "structure": "left lung", "mask": "masks/0/left_lung.png", "area": str(mask.sum())
    }  # fmt: skip
    assert [row["area"] for row in rows[1:]] == ["0", "256", "0"]


def test_overlays_show_the_outline_in_colour_at_no_more_than_512_px(tmp_path: Path) -> None:
    sizes = [(64, 1024)]
    _run(MaskWriter(tmp_path / "out", _items(tmp_path, sizes), ["a", "b"]), sizes, [_answer(8)])
    picture = np.asarray(Image.open(tmp_path / "out" / "overlays" / "0.png")).astype(int)
    assert picture.shape == (32, 512, 3)
    coloured = picture.max(axis=2) != picture.min(axis=2)
    assert coloured[8, 130:380].all()
    assert not coloured[16, 150:360].any()


def test_overlays_can_be_left_out(tmp_path: Path) -> None:
    sizes = [(32, 32)]
    writer = MaskWriter(tmp_path / "out", _items(tmp_path, sizes), ["a", "b"], mask_format="nifti", overlays=False)
    _run(writer, sizes, [_answer(8)])
    assert not (tmp_path / "out" / "overlays").exists()
    assert (tmp_path / "out" / "masks" / "0" / "a.nii.gz").is_file()


def test_masks_and_overlays_are_postprocessed(tmp_path: Path) -> None:
    sizes = [(64, 64)]
    writer = MaskWriter(tmp_path, _items(tmp_path, sizes), ["a", "b"], postprocessing=lambda masks: masks.flip(0))
    _run(writer, sizes, [_answer(8)])
    first, second = (read_binary_mask(tmp_path / "masks" / "0" / f"{name}.png") for name in "ab")
    assert (first.any(), second[32, 32]) == (False, True)
    picture = np.asarray(Image.open(tmp_path / "overlays" / "0.png")).astype(int)
    assert picture[16, 32].argmax() != 0  # the colour of the first structure is red


def test_names_are_relative_and_unique() -> None:
    files = ["/d/a/x.png", "/d/b/x.nii.gz", "/d/b/y.png", "/d/b/y.dcm", "/d/b/1.2.840.dcm"]
    assert unique_names(files) == ["a/x", "b/x", "b/y_png", "b/y_dcm", "b/1.2.840"]
    assert unique_names(["/d/only.png"]) == ["only"]
    assert unique_names([]) == []


def test_a_threshold_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="threshold got 0, expected a probability above 0"):
        MaskWriter(tmp_path, [], ["a"], threshold=0)
