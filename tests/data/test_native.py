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

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from monai_lamps.data.radiograph import RadiographError, read_radiograph

PLAIN = {
    "covid_rgb.jpeg": (1482, 1989, "JPEG"),
    "covid_rgb_mask_png_named.jpeg": (1482, 1989, "PNG"),
    "covid_rgba.png": (795, 927, "PNG"),
    "figure1_rgb.jpg": (972, 1151, "JPEG"),
    "hand_grey.png": (699, 524, "PNG"),
    "jsrt_JPCLN010_heart_mask.gif": (1024, 1024, "GIF"),
    "nih_grey_1024.png": (1024, 1024, "PNG"),
    "nih_rgba_1024.png": (1024, 1024, "PNG"),
    "pediatric_native.jpeg": (1443, 1852, "JPEG"),
    "spine_tall.jpg": (2609, 755, "JPEG"),
    "derived_cr_chest_mono1_15bit_explicit_le_half.dcm": (977, 920, "DICOM"),
    "cr_chest_mono2_8bit_jpeg_baseline.dcm": (1024, 1024, "DICOM"),
    "cr_leg_mono1_10bit_rle.dcm": (1760, 1760, "DICOM"),
}
CHESTS = [
    "cr_chest_mono2_8bit_jpeg_baseline.dcm",
    "derived_cr_chest_mono1_15bit_explicit_le_half.dcm",
    "jsrt_JPCLN010_palette_inverted.png",
    "pediatric_native.jpeg",
]


@pytest.fixture(scope="module")
def native(shared: Path) -> Path:
    return shared / "data" / "native"


@cache
def read(path: Path) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    return read_radiograph(path)


@pytest.mark.parametrize("name", PLAIN)
def test_files_are_read_without_optional_plugins(native: Path, name: str) -> None:
    pixels, meta = read(native / name)
    height, width, kind = PLAIN[name]
    assert (pixels.shape, meta["format"]) == ((height, width), kind)
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert pixels.std() > 0.05


@pytest.mark.parametrize("name", CHESTS)
def test_lungs_are_darker_than_the_mediastinum_between_them(native: Path, name: str) -> None:
    pixels, _ = read(native / name)
    height, width = pixels.shape
    band = pixels[int(0.45 * height) : int(0.6 * height)]
    right, middle, left = (
        band[:, int((x - 0.05) * width) : int((x + 0.05) * width)].mean() for x in (0.28, 0.52, 0.76)
    )
    assert middle > right + 0.05
    assert middle > left + 0.05


@pytest.mark.parametrize("name", CHESTS)
def test_a_chest_stands_upright_and_its_heart_lies_on_the_right_of_the_picture(native: Path, name: str) -> None:
    pixels, _ = read(native / name)
    height, width = pixels.shape
    lung = pixels[int(0.3 * height) : int(0.5 * height), int(0.22 * width) : int(0.34 * width)].mean()
    abdomen = pixels[int(0.85 * height) : int(0.95 * height), int(0.22 * width) : int(0.34 * width)].mean()
    assert abdomen > lung + 0.05
    beside = pixels[int(0.6 * height) : int(0.68 * height)]
    heart, other = (beside[:, int(x * width) : int((x + 0.08) * width)].mean() for x in (0.59, 0.33))
    assert heart > other + 0.02


def test_a_palette_that_is_inverted_is_not_read_as_indices(native: Path) -> None:
    path = native / "jsrt_JPCLN010_palette_inverted.png"
    with Image.open(path) as image:
        indices = np.asarray(image) / 255.0
        shown = np.asarray(image.convert("L")) / 255.0
    pixels, _ = read(path)
    assert np.abs(pixels - shown).max() < 1e-6
    assert np.corrcoef(pixels.ravel(), indices.ravel())[0, 1] < -0.9


def test_the_rewritten_photometric_tag_inverts_the_picture(native: Path) -> None:
    true, _ = read(native / "cr_chest_mono2_8bit_jpeg_baseline.dcm")
    fake, meta = read(native / "cr_chest_fake_mono1_8bit_jpeg_baseline.dcm")
    assert meta["photometric"] == "MONOCHROME1"
    assert np.abs(fake - (1 - true)).max() < 1e-6


def test_stored_values_in_a_png_are_the_negative_of_their_monochrome1_dicom(native: Path) -> None:
    png, meta = read(native / "derived_cr_chest_16bit.png")
    dicom, _ = read(native / "derived_cr_chest_mono1_15bit_explicit_le_half.dcm")
    assert meta["bits"] == 15
    assert np.corrcoef(png.ravel(), dicom.ravel())[0, 1] < -0.99


@pytest.mark.parametrize(
    ("name", "reference", "plugins", "tolerance"),
    [
        ("cr_leg_mono1_10bit_jpeg_lossless.dcm", "cr_leg_mono1_10bit_rle.dcm", "gdcm", 1e-6),
        ("cr_chest_mono1_15bit_jpegls_near.dcm", "cr_chest_mono1_15bit_jpeg2000_lossy.dcm", "gdcm", 0.01),
        ("cr_hip_mono2_10bit_jpeg_extended.dcm", "cr_hip_mono2_10bit_jpeg2000_lossless.dcm", "gdcm", 0.02),
    ],
)
def test_transfer_syntaxes_of_the_same_exposure_agree(
    native: Path, name: str, reference: str, plugins: str, tolerance: float
) -> None:
    pytest.importorskip(plugins)
    pixels, meta = read_radiograph(native / name)
    expected, other = read(native / reference)
    assert meta["transfer_syntax"] != other["transfer_syntax"]
    assert (meta["bits"], meta["voi"]) == (other["bits"], other["voi"])
    assert np.abs(pixels - expected).mean() < tolerance


def test_the_half_size_chest_is_the_mean_of_the_full_one(native: Path) -> None:
    full, _ = read(native / "cr_chest_mono1_15bit_jpeg2000_lossy.dcm")
    half, _ = read(native / "derived_cr_chest_mono1_15bit_explicit_le_half.dcm")
    mean = full[: 2 * 977, : 2 * 920].reshape(977, 2, 920, 2).mean(axis=(1, 3))
    assert np.abs(mean - half).max() < 1e-3


def test_what_is_no_radiograph_is_refused(native: Path) -> None:
    with pytest.raises(RadiographError, match=r"landmarks.npy: a NumPy array, expected PNG"):
        read_radiograph(native / "jsrt_JPCLN010_left_lung_landmarks.npy")
    with pytest.raises(RadiographError, match=r"manifest.csv: unknown content"):
        read_radiograph(native / "manifest.csv")
