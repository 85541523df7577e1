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

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from monai_lamps.data.index import index_folder

HEIGHT, WIDTH = 40, 56


def unit_picture() -> npt.NDArray[np.float64]:
    """(40, 56) in [0, 1], exactly 0 top left and 1 bottom right; every flip, turn and inversion changes it much."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    picture = 0.55 * (rows / (HEIGHT - 1)) ** 2 + 0.45 * columns / (WIDTH - 1)
    picture[4:10, 34:46] = 0.9
    return picture


@pytest.fixture
def picture() -> Callable[..., npt.NDArray[Any]]:
    """Integers 0..largest of the asymmetric picture."""

    def make(largest: int = 255, dtype: Any = np.uint8) -> npt.NDArray[Any]:
        return np.rint(unit_picture() * largest).astype(dtype)

    return make


@pytest.fixture
def save_dicom() -> Callable[..., Path]:
    """Write a DICOM file: pixels as stored, and any element by keyword."""

    def save(
        path: Path, stored: npt.NDArray[Any], bits: int | None = None, bare: bool = False, **elements: Any
    ) -> Path:
        dataset = pydicom.Dataset()
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
        dataset.SOPInstanceUID = "1.2.3.4"
        dataset.Modality = "DX"
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.Rows, dataset.Columns = stored.shape[-2:]
        dataset.BitsAllocated = 8 * stored.dtype.itemsize
        dataset.BitsStored = bits or dataset.BitsAllocated
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
        for name, value in elements.items():
            setattr(dataset, name, value)
        if bare:
            pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
        else:
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.save_as(path, enforce_file_format=True)
        return path

    return save


@pytest.fixture
def film() -> Callable[[Path, int], Path]:
    """Save a small radiograph unlike those of other seeds."""

    def save(path: Path, seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (34, 40), dtype=np.uint8)).save(path)
        return path

    return save


@pytest.fixture
def films(tmp_path: Path, film: Callable[[Path, int], Path]) -> Path:
    """Twelve sound radiographs of four patients."""
    for number in range(12):
        film(tmp_path / "films" / f"p{number // 3}" / f"{number:02d}.png", number)
    return tmp_path / "films"


@pytest.fixture
def index() -> Callable[..., Path]:
    """Index a folder in this process, quietly."""

    def make(folder: Path, out: Path, **options: Any) -> Path:
        return index_folder(folder, out, **{"workers": 0, "progress": False, **options})

    return make
