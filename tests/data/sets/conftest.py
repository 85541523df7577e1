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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

Make = Callable[..., Any]


@pytest.fixture
def picture() -> Make:
    """Write a small picture: grey noise, or a mask with a block."""

    def make(path: Path, size: tuple[int, int] = (40, 48), block: tuple[slice, slice] | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if block is None:
            pixels = np.random.default_rng(len(path.name)).integers(0, 256, size, dtype=np.uint8)
        else:
            pixels = np.zeros(size, np.uint8)
            pixels[block] = 255
        Image.fromarray(pixels).save(path)
        return path

    return make


@pytest.fixture
def table() -> Make:
    """Write a CSV file as it comes: a header line and rows of text."""

    def make(path: Path, header: str, rows: Iterable[str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return make


@pytest.fixture
def save_json() -> Make:
    def make(path: Path, content: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return make


@pytest.fixture
def film() -> Make:
    """Write a small DICOM file."""

    def make(path: Path, patient: str = "", size: Sequence[int] = (40, 48)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = pydicom.Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3.4"
        dataset.PatientID, dataset.Modality = patient, "CR"
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = size
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelData = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8).tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make
