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

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1, SecondaryCaptureImageStorage, generate_uid

from monai_lamps.data.dicom_pixels import _decode, decode_pixels
from monai_lamps.data.radiograph import RadiographError, read_radiograph

NATIVE = (
    "cr_chest_mono1_15bit_jpeg2000_lossy.dcm",
    "cr_chest_mono1_15bit_jpegls_near.dcm",
    "cr_chest_mono2_8bit_jpeg_baseline.dcm",
    "cr_hip_mono2_10bit_jpeg2000_lossless.dcm",
    "cr_hip_mono2_10bit_jpeg_extended.dcm",
    "cr_leg_mono1_10bit_jpeg_lossless.dcm",
    "cr_leg_mono1_10bit_rle.dcm",
)


def _jpeg_dicom(share: float = 1.0) -> pydicom.Dataset:
    """A DICOM image whose JPEG stream keeps this share of its bytes; the encapsulation is sound."""
    stream = io.BytesIO()
    ramp = np.add.outer(np.arange(64), 2 * np.arange(48)).astype(np.uint8)
    Image.fromarray(ramp).save(stream, "JPEG", quality=95)
    content = stream.getvalue()
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.Rows, dataset.Columns = ramp.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = encapsulate([content[: int(len(content) * share)]])
    return dataset


def test_a_whole_jpeg_stream_is_decoded_to_its_shape() -> None:
    pixels = decode_pixels(_jpeg_dicom(), "a.dcm")
    assert pixels.shape == (64, 48)
    assert pixels.dtype == np.uint8
    assert abs(int(pixels[60, 40]) - 140) <= 3


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_jpeg_stream_that_was_cut_inside_a_sound_file_is_refused(share: float) -> None:
    with pytest.raises(RadiographError, match=r"a\.dcm: .*JPEG Baseline.*cannot be decoded.*copy it again"):
        decode_pixels(_jpeg_dicom(share), "a.dcm")


def test_the_lenient_decoder_gets_no_stream_without_its_end_marker() -> None:
    dataset = _jpeg_dicom(0.9)
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(ValueError, match="the JPEG stream has no end marker"):
        _decode(dataset, ("pylibjpeg",))


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_real_streams_that_were_cut_are_never_filled_up(shared: Path, tmp_path: Path, name: str, share: float) -> None:
    dataset = pydicom.dcmread(shared / "data" / "native" / name)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([stream[: int(len(stream) * share) // 2 * 2]])
    dataset.save_as(tmp_path / name)
    with pytest.raises(RadiographError, match="decode"):
        read_radiograph(tmp_path / name)


@pytest.mark.parametrize(
    ("lossy", "faithful", "tolerance"),
    [
        ("cr_hip_mono2_10bit_jpeg_extended.dcm", "cr_hip_mono2_10bit_jpeg2000_lossless.dcm", 0.01),
        ("cr_leg_mono1_10bit_jpeg_lossless.dcm", "cr_leg_mono1_10bit_rle.dcm", 0.0),
        ("cr_chest_mono1_15bit_jpegls_near.dcm", "cr_chest_mono1_15bit_jpeg2000_lossy.dcm", 0.002),
    ],
)
def test_the_same_exposure_in_two_transfer_syntaxes_is_the_same_picture(
    shared: Path, lossy: str, faithful: str, tolerance: float
) -> None:
    pytest.importorskip("gdcm", reason="python-gdcm decodes JPEG lossless, JPEG-LS and 12-bit JPEG")
    first, second = (read_radiograph(shared / "data" / "native" / name)[0] for name in (lossy, faithful))
    assert float(np.abs(first - second).mean()) <= tolerance


def test_a_real_monochrome1_chest_has_dark_lungs_and_a_bright_heart(shared: Path) -> None:
    name = "derived_cr_chest_mono1_15bit_explicit_le_half.dcm"
    pixels, _ = read_radiograph(shared / "data" / "native" / name)
    height, width = pixels.shape
    upper_lung = pixels[int(0.25 * height) : int(0.4 * height), int(0.2 * width) : int(0.35 * width)].mean()
    heart = pixels[int(0.5 * height) : int(0.7 * height), int(0.45 * width) : int(0.6 * width)].mean()
    assert heart > upper_lung + 0.05
