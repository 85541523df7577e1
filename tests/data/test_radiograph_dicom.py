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
import pydicom
import pytest
from numpy.testing import assert_allclose

from monai_lamps.data.intensity import percentile_window
from monai_lamps.data.radiograph import detect_format, read_radiograph

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME2", "IDENTITY"), ("MONOCHROME2", ""), ("MONOCHROME2", None)]
)
def test_monochrome2_is_kept(tmp_path: Path, picture: Make, save_dicom: Make, photometric: str, shape: str) -> None:
    elements = {} if shape is None else {"PresentationLUTShape": shape}
    path = save_dicom(tmp_path / "a.dcm", picture(), PhotometricInterpretation=photometric, **elements)
    pixels, meta = read_radiograph(path)
    assert_allclose(pixels, picture() / 255, atol=1e-6)
    assert (meta["format"], meta["bits"], meta["photometric"], meta["voi"]) == ("DICOM", 8, photometric, "full range")


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", None), ("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "INVERSE")]
)
def test_monochrome1_and_an_inverse_presentation_lut_are_inverted_once(
    tmp_path: Path, picture: Make, save_dicom: Make, photometric: str, shape: str | None
) -> None:
    elements = {} if shape is None else {"PresentationLUTShape": shape}
    path = save_dicom(tmp_path / "a.dcm", 255 - picture(), PhotometricInterpretation=photometric, **elements)
    assert_allclose(read_radiograph(path)[0], picture() / 255, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 15, 16])
def test_a_window_over_the_stored_range_gives_back_the_picture(
    tmp_path: Path, picture: Make, save_dicom: Make, bits: int
) -> None:
    stored = picture(2**bits - 1, np.uint16)
    path = save_dicom(tmp_path / "a.dcm", stored, bits, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits)
    pixels, meta = read_radiograph(path)
    assert_allclose(pixels, stored / (2**bits - 1), atol=2e-3)
    assert meta["bits"] == bits
    assert meta["voi"].startswith("LINEAR ")


def test_the_window_acts_after_the_rescale_and_before_the_polarity(
    tmp_path: Path, picture: Make, save_dicom: Make
) -> None:
    stored = picture(4095, np.uint16)
    path = save_dicom(
        tmp_path / "a.dcm", stored, 12, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=[2000, 50],
        WindowWidth=[3001, 10], PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    values = stored * 2.0 - 1000
    expected = 1 - np.clip((values - 1999.5) / 3000 + 0.5, 0, 1)
    pixels, meta = read_radiograph(path)
    assert_allclose(pixels, expected, atol=1e-5)
    assert meta["voi"] == "LINEAR 2000/3001"


def test_linear_exact_and_sigmoid_follow_the_standard(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    stored = picture(4095, np.uint16)
    window = {"WindowCenter": 1500, "WindowWidth": 800}
    exact = save_dicom(tmp_path / "a.dcm", stored, 12, VOILUTFunction="LINEAR_EXACT", **window)
    assert_allclose(read_radiograph(exact)[0], np.clip((stored - 1500.0) / 800 + 0.5, 0, 1), atol=1e-5)
    sigmoid = save_dicom(tmp_path / "b.dcm", stored, 12, VOILUTFunction="SIGMOID", **window)
    pixels, meta = read_radiograph(sigmoid)
    assert_allclose(pixels, 1 / (1 + np.exp(-4 * (stored - 1500.0) / 800)), atol=1e-5)
    assert meta["voi"] == "SIGMOID 1500/800"


def test_a_voi_lut_precedes_the_window_and_may_invert(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    stored = picture(1023, np.uint16)
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [1024, 0, 12])
    table = (4095 - 4 * np.arange(1024)).astype(np.uint16)
    item.add_new("LUTData", "US", table.tolist())
    path = save_dicom(tmp_path / "a.dcm", stored, 10, VOILUTSequence=[item], WindowCenter=512, WindowWidth=1024)
    pixels, meta = read_radiograph(path)
    assert_allclose(pixels, table[stored] / 4095, atol=1e-6)
    assert meta["voi"] == "VOI LUT"


def test_a_modality_lut_is_looked_up(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [1024, 0, 16])
    table = (np.arange(1024) ** 2 // 16).astype(np.uint16)
    item.add_new("LUTData", "US", table.tolist())
    item.ModalityLUTType = "US"
    stored = picture(1023, np.uint16)
    path = save_dicom(tmp_path / "a.dcm", stored, 10, ModalityLUTSequence=[item], WindowCenter=20000, WindowWidth=40001)
    assert_allclose(read_radiograph(path)[0], np.clip((table[stored] - 19999.5) / 40000 + 0.5, 0, 1), atol=1e-5)


def test_signed_values_are_signed(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    stored = (picture(3000, np.int32) - 1000).astype(np.int16)
    path = save_dicom(tmp_path / "a.dcm", stored, 16, WindowCenter=500, WindowWidth=3001)
    assert_allclose(read_radiograph(path)[0], np.clip((stored - 499.5) / 3000 + 0.5, 0, 1), atol=1e-5)


def test_without_voi_the_percentiles_count_without_padding(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    stored = (picture(2000, np.uint16) + 1000).astype(np.uint16)
    stored[:, :8] = 0
    path = save_dicom(tmp_path / "a.dcm", stored, 12, PixelPaddingValue=0)
    pixels, meta = read_radiograph(path)
    low, high = np.percentile(stored[:, 8:], [0.5, 99.5])
    assert_allclose(pixels, np.clip((stored - low) / (high - low), 0, 1), atol=1e-5)
    assert pixels[:, :8].max() == 0
    assert meta["voi"] == "percentiles"
    plain, _ = read_radiograph(save_dicom(tmp_path / "b.dcm", stored, 12))
    assert plain[0, 8] > 0.1


@pytest.mark.parametrize("window", [{"WindowCenter": 1e6, "WindowWidth": 10}, {"WindowCenter": 500, "WindowWidth": 0}])
def test_a_window_that_shows_nothing_is_passed_over(
    tmp_path: Path, picture: Make, save_dicom: Make, window: dict[str, float]
) -> None:
    stored = picture(4095, np.uint16)
    pixels, meta = read_radiograph(save_dicom(tmp_path / "a.dcm", stored, 12, **window))
    assert meta["voi"] == "percentiles"
    assert_allclose(pixels, percentile_window(stored), atol=1e-6)


def test_dicom_without_preamble_and_with_the_preamble_of_a_tiff(
    tmp_path: Path, picture: Make, save_dicom: Make
) -> None:
    bare = save_dicom(tmp_path / "bare", picture(), bare=True)
    assert_allclose(read_radiograph(bare)[0], picture() / 255, atol=1e-6)
    dual = save_dicom(tmp_path / "dual.tif", picture())
    content = dual.read_bytes()
    dual.write_bytes(b"II*\x00".ljust(128, b"\x00") + content[128:])
    assert detect_format(dual) == "dicom"
    assert_allclose(read_radiograph(dual)[0], picture() / 255, atol=1e-6)


def test_grey_rgb_and_palette_dicom_become_one_channel(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    rgb = np.repeat(picture()[..., None], 3, axis=-1)
    path = save_dicom(
        tmp_path / "rgb.dcm", picture(), SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB",
        PixelData=rgb.tobytes(),
    )  # fmt: skip
    assert_allclose(read_radiograph(path)[0], picture() / 255, atol=1e-6)
    palette: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
    path = save_dicom(tmp_path / "palette.dcm", 255 - picture(), **palette)
    assert_allclose(read_radiograph(path)[0], picture() / 255, atol=1e-3)


def test_the_header_gives_patient_spacing_modality_and_view(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
    path = save_dicom(tmp_path / "a.dcm", picture(), PatientID=" P7 ", ImagerPixelSpacing=[0.2, 0.1], ViewPosition="PA")
    meta = read_radiograph(path)[1]
    assert (meta["patient"], meta["spacing"], meta["modality"], meta["view"]) == ("P7", [0.2, 0.1], "DX", "PA")
    assert "patient" not in read_radiograph(save_dicom(tmp_path / "b.dcm", picture(), PatientID="ANONYMOUS"))[1]
