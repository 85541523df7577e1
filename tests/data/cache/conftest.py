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

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from monai_lamps.data.cache import build_cache


def film(path: Path, seed: int, shape: tuple[int, int] = (40, 48), largest: int = 255) -> Path:
    """A small picture unlike those of other seeds, 8 bits, or 16 if its largest value needs them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, largest + 1, shape)
    values[0, :2] = 0, largest
    Image.fromarray(values.astype(np.uint8 if largest < 256 else np.uint16)).save(path)
    return path


@pytest.fixture
def make_film() -> Callable[..., Path]:
    """Write a small picture."""
    return film


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """A datalist of eleven pictures in two sections; with four images a part they make three parts."""
    for number in range(11):
        film(tmp_path / "films" / f"p{number // 4}" / f"{number:02d}.png", number)
    items = [{"image": f"films/p{number // 4}/{number:02d}.png", "label": number % 2} for number in range(11)]
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"name": "films", "training": items[:8], "validation": items[8:]}))
    return path


@pytest.fixture
def build() -> Callable[..., Path]:
    """Build a cache in this process, four images a part, without a progress bar."""

    def make(datalist: Path, out: Path, size: int = 48, **options: Any) -> Path:
        return build_cache(datalist, out, size, **{"workers": 0, "progress": False, "images_per_part": 4, **options})

    return make


@pytest.fixture
def cache(datalist: Path, tmp_path: Path, build: Callable[..., Path]) -> Path:
    """The finished cache of the datalist."""
    return build(datalist, tmp_path / "cache")


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def files() -> Callable[[Path], dict[str, bytes]]:
    """All files of a folder with their bytes."""
    return content


@pytest.fixture
def flip() -> Callable[[Path, int], None]:
    """Change one byte of a file."""

    def change(path: Path, position: int) -> None:
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        path.write_bytes(bytes(data))

    return change
