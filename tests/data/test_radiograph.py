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
import pydicom
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from monai_lamps.data.intensity import bit_depth, percentile_window
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
    at = content.index(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01")  # PhotometricInterpretation, SHORT, 1 value, BlackIsZero
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
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: a[::-1, ::-1]), (4, np.flipud), (6, np.rot90), (8, lambda a: np.rot90(a, -1))],
    ids=["1", "2", "3", "4", "6", "8"],
)
def test_the_exif_orientation_is_applied_once(
    tmp_path: Path, picture: Make, suffix: str, orientation: int, undo: Callable[[Any], Any]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(undo(picture()))).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
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


# --- DICOM ---


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME2", "IDENTITY"), ("MONOCHROME2", ""), ("MONOCHROME2", None)])
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


def test_the_window_acts_after_the_rescale_and_before_the_polarity(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
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
    path = save_dicom(
        tmp_path / "a.dcm", stored, 10, ModalityLUTSequence=[item], WindowCenter=20000, WindowWidth=40001
    )
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


def test_dicom_without_preamble_and_with_the_preamble_of_a_tiff(tmp_path: Path, picture: Make, save_dicom: Make) -> None:
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


# --- NIfTI ---


@pytest.mark.parametrize(
    ("diagonal", "axes", "flip_columns", "flip_rows"),
    [
        ((1, 1, 1), (0, 1), False, False),  # nothing recorded
        ((0.2, 0.1, 1), (0, 1), False, False),
        ((-1, -1, 1), (0, 1), False, False),  # LPS, as ITK writes
        ((1, -1, 1), (0, 1), True, False),
        ((-1, 1, 1), (0, 1), False, True),
        ((-1, 1, -1), (0, 2), False, False),  # coronal, columns to the left, rows to inferior
        ((1, 1, 1), (0, 2), True, True),  # coronal, RAS
        ((1, -1, -1), (1, 2), False, False),  # sagittal, columns to posterior
    ],
)
def test_nifti_planes_lie_as_a_reader_sees_them(
    tmp_path: Path, picture: Make, diagonal: Any, axes: tuple[int, int], flip_columns: bool, flip_rows: bool
) -> None:
    plane = picture().T  # columns first, as NIfTI stores
    plane = plane[::-1] if flip_columns else plane
    plane = plane[:, ::-1] if flip_rows else plane
    volume = np.expand_dims(plane, next(a for a in range(3) if a not in axes))
    nib.Nifti1Image(volume, np.diag([*diagonal, 1.0])).to_filename(tmp_path / "a.nii")
    pixels, meta = read_radiograph(tmp_path / "a.nii")
    assert_allclose(pixels, picture() / 255, atol=1e-6)
    assert_allclose(meta["spacing"], [abs(diagonal[axes[1]]), abs(diagonal[axes[0]])], rtol=1e-5)


def test_a_nifti_whose_affine_swaps_the_axes_is_transposed_back(tmp_path: Path, picture: Make) -> None:
    affine = np.array([[0, -2.0, 0, 0], [-3.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # axis 0 runs down, axis 1 right
    nib.Nifti1Image(picture(), affine).to_filename(tmp_path / "a.nii")
    pixels, meta = read_radiograph(tmp_path / "a.nii")
    assert_allclose(pixels, picture() / 255, atol=1e-6)
    assert_allclose(meta["spacing"], [3, 2])


@pytest.mark.parametrize("shape", [(56, 40), (56, 40, 1), (56, 40, 1, 1), (56, 40, 1, 1, 1)])
@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_singleton_axes_gzip_and_both_versions_are_read(
    tmp_path: Path, picture: Make, shape: tuple[int, ...], suffix: str, kind: Any
) -> None:
    kind(picture().T.reshape(shape), np.eye(4)).to_filename(tmp_path / f"a.{suffix}")
    assert_allclose(read_radiograph(tmp_path / f"a.{suffix}")[0], picture() / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "largest", "bits"), [(np.uint8, 255, 8), (np.int16, 4095, 12), (np.uint16, 65535, 16), (np.int32, 1023, 10)]
)
def test_nifti_integers_follow_the_bit_depth(tmp_path: Path, picture: Make, dtype: Any, largest: int, bits: int) -> None:
    nib.Nifti1Image(picture(largest, dtype).T, np.eye(4)).to_filename(tmp_path / "a.nii")
    pixels, meta = read_radiograph(tmp_path / "a.nii")
    assert meta["bits"] == bits
    assert_allclose(pixels, picture(largest, dtype) / largest, atol=1e-6)


def test_negative_nifti_integers_are_moved_to_zero(tmp_path: Path, picture: Make) -> None:
    stored = (picture(4095, np.int32) - 1024).astype(np.int16)
    nib.Nifti1Image(stored.T, np.eye(4)).to_filename(tmp_path / "a.nii")
    assert_allclose(read_radiograph(tmp_path / "a.nii")[0], (stored + 1024) / 4095, atol=1e-6)


@pytest.mark.parametrize("slope", [None, 0.25])
def test_floats_and_scaled_integers_of_nifti_get_the_percentile_window(
    tmp_path: Path, picture: Make, slope: float | None
) -> None:
    stored = picture(4000, np.int16)
    image = nib.Nifti1Image(stored.T if slope else stored.T.astype(np.float32), np.eye(4))
    if slope:
        image.header.set_slope_inter(slope, -100)
    image.to_filename(tmp_path / "a.nii")
    pixels, meta = read_radiograph(tmp_path / "a.nii")
    assert_allclose(pixels, percentile_window(stored), atol=1e-3)
    assert meta["bits"] is None


# --- intensity ---


def test_bit_depth_holds_the_largest_value_and_refuses_wider_ones() -> None:
    assert [bit_depth(v) for v in (0, 255, 256, 1023, 1024, 65535)] == [8, 8, 9, 10, 11, 16]
    with pytest.raises(ValueError, match=r"0..65535, got 65536; use percentile_window"):
        bit_depth(65536)


def test_percentiles_that_coincide_give_way_to_the_extremes() -> None:
    values = np.zeros((40, 56))
    values[3, 4] = 9
    assert percentile_window(values)[3, 4] == 1
    assert percentile_window(np.ones((40, 56))).max() == 0
