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

from monai_lamps.data.intensity import percentile_window
from monai_lamps.data.radiograph import read_radiograph

Make = Callable[..., Any]


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
    ("dtype", "largest", "bits"),
    [(np.uint8, 255, 8), (np.int16, 4095, 12), (np.uint16, 65535, 16), (np.int32, 1023, 10)],
)
def test_nifti_integers_follow_the_bit_depth(
    tmp_path: Path, picture: Make, dtype: Any, largest: int, bits: int
) -> None:
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
