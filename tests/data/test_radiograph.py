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

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from monai_lamps.data.radiograph import detect_format, read_radiograph

Make = Callable[..., Any]


def test_the_picture_of_these_tests_shows_every_flip_turn_and_inversion(picture: Make) -> None:
    unit = picture() / 255
    for other in (unit[::-1], unit[:, ::-1], unit[::-1, ::-1], 1 - unit):
        assert np.abs(other - unit).mean() > 0.05
    assert unit.shape[0] != unit.shape[1]


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.pgm", "a.gif", "lossless.webp", "a.jp2"])
def test_eight_bit_pictures_are_divided_by_255(tmp_path: Path, picture: Make, name: str) -> None:
    Image.fromarray(picture()).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    pixels, meta = read_radiograph(tmp_path / name)
    assert_allclose(pixels, picture() / 255, atol=1e-6)
    assert (pixels.dtype, pixels.flags["C_CONTIGUOUS"]) == (np.float32, True)
    assert (meta["bits"], meta["height"], meta["width"]) == (8, 40, 56)


def test_a_dark_eight_bit_picture_is_not_stretched(tmp_path: Path, picture: Make) -> None:
    Image.fromarray(picture(60)).save(tmp_path / "a.png")
    assert read_radiograph(str(tmp_path / "a.png"))[0].max() == pytest.approx(60 / 255)


@pytest.mark.parametrize(("largest", "bits"), [(1023, 10), (4095, 12), (3000, 12), (32767, 15), (65535, 16), (200, 8)])
@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_files_are_divided_by_the_bit_depth_that_is_in_use(
    tmp_path: Path, picture: Make, largest: int, bits: int, suffix: str
) -> None:
    stored = picture(largest, np.uint16)
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}")
    pixels, meta = read_radiograph(tmp_path / f"a.{suffix}")
    assert meta["bits"] == bits
    assert_allclose(pixels, stored / (2**bits - 1), atol=1e-6)


def test_big_endian_tiff_is_read_alike(tmp_path: Path, picture: Make) -> None:
    stored = picture(4095, np.uint16)
    Image.frombytes("I;16B", (56, 40), stored.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    assert_allclose(read_radiograph(tmp_path / "a.tif")[0], stored / 4095, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_in_which_zero_is_white_is_inverted(tmp_path: Path, picture: Make, dtype: Any) -> None:
    largest = 255 if dtype == np.uint8 else 4095
    stored = picture(largest, dtype)
    reference = tmp_path / "black.tif"
    Image.fromarray(stored).save(reference)
    content = bytearray(reference.read_bytes())
    at = content.index(
        b"\x06\x01\x03\x00\x01\x00\x00\x00\x01"
    )  # PhotometricInterpretation, SHORT, 1 value, BlackIsZero
    content[at + 8] = 0
    (tmp_path / "white.tif").write_bytes(content)
    assert_allclose(read_radiograph(tmp_path / "white.tif")[0], 1 - read_radiograph(reference)[0], atol=1e-6)


def test_float_tiff_gets_the_percentile_window(tmp_path: Path, picture: Make) -> None:
    stored = picture(4095, np.float32) * 1e3 - 7.0
    Image.fromarray(stored).save(tmp_path / "a.tif")
    pixels, meta = read_radiograph(tmp_path / "a.tif")
    low, high = np.percentile(stored, [0.5, 99.5])
    assert_allclose(pixels, np.clip((stored - low) / (high - low), 0, 1), atol=1e-5)
    assert meta["bits"] is None


def test_jpeg_is_close_to_its_original(tmp_path: Path, picture: Make) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.jpg", quality=95)
    pixels, meta = read_radiograph(tmp_path / "a.jpg")
    assert np.abs(pixels - picture() / 255).mean() < 0.01
    assert meta["format"] == "JPEG"


@pytest.mark.parametrize("inverted", [False, True])
def test_palettes_are_looked_up(tmp_path: Path, picture: Make, inverted: bool) -> None:
    grey = picture()
    ramp = np.arange(256, dtype=np.uint8)
    image = Image.fromarray(255 - grey if inverted else grey)
    image = image.copy()
    image.putpalette(np.repeat(255 - ramp if inverted else ramp, 3).tobytes())
    assert image.mode == "P"
    image.save(tmp_path / "a.png")
    assert_allclose(read_radiograph(tmp_path / "a.png")[0], grey / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK"])
def test_pictures_of_several_channels_that_are_really_grey_become_one(tmp_path: Path, picture: Make, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(picture()).convert("RGB").convert(mode).save(path)
    assert_allclose(read_radiograph(path)[0], picture() / 255, atol=1e-6)


def test_a_slight_tint_and_a_coloured_letter_are_tolerated(tmp_path: Path, picture: Make) -> None:
    rgb = np.stack([picture()] * 3, axis=-1).astype(int)
    rgb[..., 2] = np.minimum(rgb[..., 2] + 12, 255)
    rgb[2:6, 2:8] = (255, 0, 0)
    Image.fromarray(rgb.astype(np.uint8)).save(tmp_path / "a.png")
    pixels, _ = read_radiograph(tmp_path / "a.png")
    assert np.abs(pixels - picture() / 255).mean() < 0.03


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_parts_lie_over_black_but_a_constant_alpha_is_ignored(
    tmp_path: Path, picture: Make, mode: str
) -> None:
    image = Image.fromarray(picture()).convert(mode)
    alpha = np.full((40, 56), 255, np.uint8)
    alpha[:10] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "half.png")
    expected = picture() / 255
    expected[:10] = 0
    assert_allclose(read_radiograph(tmp_path / "half.png")[0], expected, atol=1e-6)
    image.putalpha(0)
    image.save(tmp_path / "all.png")
    assert_allclose(read_radiograph(tmp_path / "all.png")[0], picture() / 255, atol=1e-6)


def test_one_bit_pictures_are_zero_and_one(tmp_path: Path, picture: Make) -> None:
    Image.fromarray(picture() > 100).save(tmp_path / "a.png")
    assert_allclose(read_radiograph(tmp_path / "a.png")[0], picture() > 100)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: a[::-1, ::-1]),
        (4, np.flipud),
        (6, np.rot90),
        (8, lambda a: np.rot90(a, -1)),
    ],
    ids=["1", "2", "3", "4", "6", "8"],
)
def test_the_exif_orientation_is_applied_once(
    tmp_path: Path, picture: Make, suffix: str, orientation: int, undo: Callable[[Any], Any]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(undo(picture()))).save(
        path, exif=exif, **({"quality": 95} if suffix == "jpg" else {})
    )
    pixels, _ = read_radiograph(path)
    assert pixels.shape == (40, 56)
    assert np.abs(pixels - picture() / 255).mean() < 0.01


def test_the_content_counts_not_the_suffix(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    png = (tmp_path / "a.png").rename(tmp_path / "b.jpeg")
    dicom = save_dicom(tmp_path / "c.png", picture())
    nifti = tmp_path / "d.nii.gz"
    nib.Nifti1Image(picture().T, np.eye(4)).to_filename(nifti)
    assert [detect_format(p) for p in (png, dicom, nifti.rename(tmp_path / "d.dcm"))] == ["raster", "dicom", "nifti"]
    for name in ("b.jpeg", "c.png", "d.dcm"):
        assert_allclose(read_radiograph(tmp_path / name)[0], picture() / 255, atol=1e-6)
