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

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import JPEG2000, MPEG2MPML, JPEGExtended12Bit, JPEGLSLossless

from monai_lamps.data import dicom_pixels
from monai_lamps.data.radiograph import NoPixelDataError, RadiographError, read_radiograph

Make = Callable[..., Any]


def rejected(path: Path, finding: str, mend: str, **limits: Any) -> RadiographError:
    """The error of a file: it names the file, the finding and the mend, on one line."""
    with pytest.raises(RadiographError, match=finding) as caught:
        read_radiograph(path, **limits)
    error = caught.value
    assert str(error) == f"{path}: {error.reason}"
    assert mend in error.mend
    assert "\n" not in str(error)
    assert str(path) not in error.reason
    return error


@pytest.mark.parametrize(
    ("content", "finding", "mend"),
    [
        (b"", r"empty file \(0 bytes\)", "copy it again"),
        (
            b"\n<!DOCTYPE html><html>404</html>",
            "a web page .*probably a failed download, expected PNG",
            "fetch it again",
        ),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "a web page or other markup", "fetch it again"),
        (b"%PDF-1.4 abc", "a PDF document, expected PNG", "remove it"),
        (b"PK\x03\x04abc", "a ZIP archive", "remove it"),
        (b'{"a": 1}', "JSON text", "remove it"),
        (b"\x93NUMPY\x01\x00", "a NumPy array", "remove it"),
        (gzip.compress(b"no nifti" * 99, mtime=0), "gzip data that is truncated or no NIfTI", "remove it"),
        (bytes(5000), "zero bytes only", "fetch it again"),
        (b"random text that is nothing", r"unknown content \(first bytes 72 61 6e", "fetch it again"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "raster file that cannot be decoded", "copy it again"),
        (bytes(128) + b"DICM", "DICOM file that ends before its pixel data", "copy it again"),
        (bytes(128) + b"DICM" + b"\xff" * 500, "DICOM|dicom", ""),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, finding: str, mend: str) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(content)
    rejected(path, finding, mend)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "bmp", "jp2", "dcm", "nii", "nii.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_truncated_file_is_refused_and_never_half_read(
    tmp_path: Path, picture: Make, save_dicom: Make, suffix: str, share: float
) -> None:
    path = tmp_path / f"film.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    if suffix == "dcm":
        save_dicom(path, noise)
    elif suffix.startswith("nii"):
        nib.Nifti1Image(noise, np.eye(4)).to_filename(path)
    else:
        Image.fromarray(noise).save(path)
    read_radiograph(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    rejected(path, "cannot be decoded|ends before|truncated|unknown content|decoder", "")


def test_damage_in_the_middle_of_a_png_is_noticed(tmp_path: Path, picture: Make) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    rejected(path, "raster file that cannot be decoded", "truncated or damaged, copy it again")


def test_several_frames_are_refused(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    for suffix in ("gif", "tif"):
        frames[0].save(tmp_path / f"film.{suffix}", save_all=True, append_images=frames[1:])
        rejected(tmp_path / f"film.{suffix}", "with 2 frames, expected one", "save the wanted frame")
    path = save_dicom(tmp_path / "film.dcm", np.stack([picture()] * 3), NumberOfFrames=3)
    rejected(path, "DICOM with 3 frames, expected one", "export the wanted frame")


@pytest.mark.parametrize("kind", ["jpg", "png", "palette", "alpha"])
def test_a_colour_photograph_is_refused(tmp_path: Path, kind: str) -> None:
    rows, columns = np.mgrid[0:64, 0:80]
    photo = np.stack([rows * 3, columns * 3, 255 - rows * 2], axis=-1).astype(np.uint8)
    image = Image.fromarray(photo)
    path = tmp_path / f"photo.{'jpg' if kind == 'jpg' else 'png'}"
    (image.quantize(64) if kind == "palette" else image.convert("RGBA") if kind == "alpha" else image).save(path)
    rejected(
        path, r"a colour picture \(\w+, \d+% coloured pixels\), expected a grey", "remove it, or convert it to grey"
    )


def test_a_colour_dicom_is_refused(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    rgb = np.stack([picture(), 255 - picture(), picture()], axis=-1)
    path = save_dicom(
        tmp_path / "film.dcm", picture(), SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB",
        PixelData=rgb.tobytes(),
    )  # fmt: skip
    rejected(path, r"a colour image \(\d+% coloured pixels\)", "remove it")


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_picture_is_refused(tmp_path: Path, save_dicom: Make, value: int) -> None:
    constant = np.full((40, 40), value, np.uint8)
    Image.fromarray(constant).save(tmp_path / "film.png")
    rejected(tmp_path / "film.png", "all pixels have the same value", "remove this empty picture")
    rejected(save_dicom(tmp_path / "film.dcm", constant.astype(np.uint16)), "the same value", "remove")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_not_finite_is_enough(tmp_path: Path, picture: Make, value: float) -> None:
    stored = picture(255, np.float32)
    stored[5, 6] = value
    nib.Nifti1Image(stored.T, np.eye(4)).to_filename(tmp_path / "film.nii")
    Image.fromarray(stored).save(tmp_path / "film.tif")
    for name in ("film.nii", "film.tif"):
        rejected(tmp_path / name, "NaN or infinite pixels", "export the picture again")


def test_a_dicom_rescale_that_is_not_finite_is_refused(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    path = save_dicom(
        tmp_path / "film.dcm", picture(4095, np.uint16), 12, RescaleSlope="1e308", RescaleIntercept="1e308"
    )
    rejected(path, "NaN or infinite pixels", "export the picture again")


def test_small_and_long_pictures_are_refused_by_the_limits(tmp_path: Path, picture: Make) -> None:
    ramp = np.tile(np.arange(32, dtype=np.uint8), (20, 1))
    Image.fromarray(ramp).save(tmp_path / "small.png")
    rejected(tmp_path / "small.png", r"32 x 20 pixels \(width x height\).* at least 32", "lower min_size")
    assert read_radiograph(tmp_path / "small.png", min_size=20)[0].shape == (20, 32)
    Image.fromarray(np.tile(np.arange(250, dtype=np.uint8), (40, 2))).save(tmp_path / "long.png")
    rejected(tmp_path / "long.png", r"500 x 40 pixels.* 12.5, at most 8 is allowed", "raise max_aspect")
    assert read_radiograph(tmp_path / "long.png", max_aspect=13)[0].shape == (40, 500)


def test_missing_files_folders_pipes_and_closed_files_are_named(tmp_path: Path) -> None:
    rejected(tmp_path / "none.png", "no such file", "check the path")
    rejected(tmp_path, "a folder, expected a file", "check the path")
    os.mkfifo(tmp_path / "pipe.png")
    rejected(tmp_path / "pipe.png", "a device, pipe or socket", "remove it")
    rejected(tmp_path / ("x" * 300), r"cannot be opened \(File name too long\)", "check the path")


@pytest.mark.parametrize("shape", [(8, 40, 40), (40, 40, 1, 5), (40,), (40, 1, 1)])
def test_nifti_volumes_series_and_lines_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    nib.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "film.nii")
    rejected(
        tmp_path / "film.nii", "NIfTI of shape .*, expected two axes longer than 1", "save one radiograph to a file"
    )


def test_nifti_colours_and_header_pairs_are_refused(tmp_path: Path, picture: Make) -> None:
    rgb = np.zeros((40, 40), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(rgb, np.eye(4)).to_filename(tmp_path / "film.nii")
    rejected(tmp_path / "film.nii", "NIfTI with RGB values", "one grey value")
    nib.Nifti1Pair(picture(), np.eye(4)).to_filename(tmp_path / "pair.img")
    rejected(tmp_path / "pair.hdr", "NIfTI header without its data", "convert it to one .nii file")


def test_a_sound_dicom_without_an_image_is_an_error_of_its_own(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    path = save_dicom(tmp_path / "report.dcm", picture(), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    dataset = pydicom.dcmread(path)
    for name in ("PixelData", "Rows", "Columns"):
        delattr(dataset, name)
    dataset.save_as(path)
    error = rejected(path, r"DICOM object without an image \(Basic Text SR Storage\)", "leave it out")
    assert isinstance(error, NoPixelDataError)


def compressed(path: Path, save_dicom: Make, picture: Make, syntax: str, **elements: Any) -> Path:
    """A DICOM file that claims a compressed transfer syntax."""
    save_dicom(path, picture(4095, np.uint16), 12, **elements)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pydicom.encaps.encapsulate([b"no such picture "])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(("syntax", "package"), [(JPEGLSLossless, "python-gdcm"), (JPEG2000, "pillow")])
def test_a_missing_decoder_is_named_with_the_package_to_install(
    tmp_path: Path, picture: Make, save_dicom: Make, monkeypatch: pytest.MonkeyPatch, syntax: Any, package: str
) -> None:
    path = compressed(tmp_path / "film.dcm", save_dicom, picture, syntax)
    monkeypatch.setattr(dicom_pixels.get_decoder(syntax), "_available", {})
    rejected(path, f"no decoder for the DICOM transfer syntax '{syntax.name}' is installed", f"pip install {package}")


def test_twelve_bit_jpeg_without_gdcm_names_it(
    tmp_path: Path, picture: Make, save_dicom: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = compressed(tmp_path / "film.dcm", save_dicom, picture, JPEGExtended12Bit)
    monkeypatch.setitem(__import__("sys").modules, "gdcm", None)
    rejected(path, r"no decoder for the DICOM transfer syntax 'JPEG Extended .*' of 12 bits", "pip install python-gdcm")


def test_damaged_compressed_pixels_and_films_are_named(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    path = compressed(tmp_path / "film.dcm", save_dicom, picture, JPEG2000)
    rejected(path, "pixel data in transfer syntax 'JPEG 2000 Image Compression' cannot be decoded", "copy it again")
    path = compressed(tmp_path / "video.dcm", save_dicom, picture, MPEG2MPML)
    rejected(path, "transfer syntax '.*MPEG2.*' .* is no still image", "export it uncompressed")


def test_twelve_bit_jpeg_that_gdcm_cannot_read_is_named(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    pytest.importorskip("gdcm")
    path = compressed(tmp_path / "film.dcm", save_dicom, picture, JPEGExtended12Bit)
    rejected(path, "cannot be decoded by GDCM", "copy it again")


def test_running_out_of_memory_is_not_blamed_on_the_file(
    tmp_path: Path, picture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture()).save(tmp_path / "film.png")

    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError):
        read_radiograph(tmp_path / "film.png")


def test_the_error_survives_pickling(tmp_path: Path) -> None:
    error = rejected(tmp_path / "none.png", "no such file", "check the path")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.file, again.found, again.mend) == (str(error), error.file, error.found, error.mend)
