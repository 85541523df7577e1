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

"""Reader of two-dimensional NIfTI files, through nibabel."""

from __future__ import annotations

import gzip
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.orientations import io_orientation

from monai_lamps.data.errors import RadiographError
from monai_lamps.data.intensity import percentile_window, scale_integers

__all__ = ["orient_rows_down", "read_nifti"]


def read_nifti(path: str) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Read a NIfTI file with two axes longer than one as a radiograph.

    See :func:`orient_rows_down` for the orientation. Unscaled integers follow the bit-depth rule of 16-bit pictures
    (after the smallest value, if negative, is moved to 0), everything else the percentile window (see
    :mod:`monai_lamps.data.intensity`). The name of the file plays no part; gzip is recognised by content.

    Args:
        path: the file, NIfTI-1 or NIfTI-2 in one file, gzipped or not.

    Returns:
        (H, W) float32 in [0, 1], rows downwards, and ``meta`` with ``format``, ``bits``, ``photometric`` and
        ``spacing`` (row, column) in the units of the header, usually mm.

    Raises:
        RadiographError: a volume, a time series, RGB values, NaN or infinite pixels.
    """
    image = open_nifti(path)
    shape = image.shape
    axes = [axis for axis, length in enumerate(shape) if length > 1]
    if len(axes) != 2 or axes[1] > 2:
        raise RadiographError(
            path,
            f"NIfTI of shape {tuple(shape)}, expected two axes longer than 1 among the first three",
            "save one radiograph to a file; volumes and series are not radiographs",
        )
    if image.get_data_dtype().names is not None:
        raise RadiographError(path, "NIfTI with RGB values", "save one grey value for each pixel")
    values = np.asarray(image.dataobj).reshape([shape[axis] for axis in axes])
    zooms = image.header.get_zooms()
    rows_down, swapped = orient_rows_down(values, np.asarray(image.affine), (axes[0], axes[1]))
    if not np.isfinite(rows_down).all():
        raise RadiographError(path, "NaN or infinite pixels", "export the picture again from its source")
    bits: int | None = None
    if np.issubdtype(rows_down.dtype, np.integer):
        pixels, bits = scale_integers(rows_down)
    else:
        pixels = percentile_window(rows_down)
    column_axis, row_axis = (axes[1], axes[0]) if swapped else (axes[0], axes[1])
    spacing = [float(zooms[row_axis]), float(zooms[column_axis])]
    return pixels, {"format": "NIfTI", "bits": bits, "photometric": "grey", "spacing": spacing}


def orient_rows_down(values: npt.NDArray, affine: npt.NDArray, axes: tuple[int, int]) -> tuple[npt.NDArray, bool]:
    """Turn a NIfTI plane into rows downwards, columns to the right of the screen.

    NIfTI stores the column index first, so a plane ``array[i, j]`` is column i, row j. Three cases:

    - No orientation was recorded: an affine without a flip in the plane of the first two axes (identity or a positive
      diagonal, what nibabel and MONAI write by default). Nothing is flipped.
    - ITK and other DICOM-minded writers give x and y a negative sign (LPS seen as RAS). Nothing has to be flipped.
    - Anything else follows the affine: columns run to the patient's left (to posterior in a lateral plane), rows run to
      inferior (to posterior in an axial plane).

    Args:
        values: (A, B) values of the two axes.
        affine: (4, 4) voxel to RAS affine.
        axes: which array axes, in 0..2, these are.

    Returns:
        (H, W) view and whether the second axis was taken as columns.
    """
    world = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    direction = world[list(axes)]
    unrecorded = np.isnan(direction).any() or (axes == (0, 1) and np.array_equal(direction, [[0, 1], [1, 1]]))
    if unrecorded:
        return values.T, False
    (first, first_sign), (second, second_sign) = direction
    swapped = bool(second < first)  # world order x, y, z: the smaller one becomes the columns
    if swapped:
        values, first_sign, second_sign = values.T, second_sign, first_sign
    # columns must run to L or P, rows to P or I: against every positive RAS direction
    values = values[::-1] if first_sign > 0 else values
    values = values[:, ::-1] if second_sign > 0 else values
    return values.T, swapped


def open_nifti(path: str) -> Any:
    """Parse the bytes of a file, whatever its name."""
    with open(path, "rb") as handle:
        data = handle.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[344:348] == b"ni1\x00":
        raise RadiographError(path, "NIfTI header without its data (.hdr/.img pair)", "convert it to one .nii file")
    kind = nib.Nifti2Image if data[4:8] == b"n+2\x00" else nib.Nifti1Image
    return kind.from_bytes(data)
