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
"""Masks written in the geometry of the radiograph that they belong to."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image

from monai_lamps.data.atomic import atomic_write
from monai_lamps.data.nifti import open_nifti, orient_rows_down
from monai_lamps.data.radiograph import detect_format

__all__ = ["write_mask"]


def write_mask(
    path: str | os.PathLike[str], mask: npt.NDArray[np.bool_], image: str | os.PathLike[str], form: str = "auto"
) -> Path:
    """Write the mask of a radiograph as a file that lies on it pixel by pixel.

    A NIfTI radiograph gets a NIfTI mask with its shape, orientation and affine. Any other one gets a PNG with rows
    downwards, 0 outside and 255 inside; as NIfTI its plane is stored as x and y of ITK, without a turn, 1 inside.
    :func:`~monai_lamps.data.annotations.read_binary_mask` gives the mask back.

    Args:
        path: the file without its suffix.
        mask: (H, W), rows downwards, of the size that :func:`~monai_lamps.data.radiograph.read_radiograph` gives.
        image: the file of the radiograph.
        form: "png", "nifti", or "auto" for that of the radiograph.

    Returns:
        the path with its suffix, ``.png`` or ``.nii.gz``.

    Raises:
        ValueError: when the form is unknown, or mask and radiograph differ in size.
    """
    if form not in ("auto", "png", "nifti"):
        raise ValueError(f"mask_format got '{form}', expected auto, png or nifti.")
    source = detect_format(image)
    if form == "png" or (form == "auto" and source != "nifti"):
        picture = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
        return atomic_write(f"{os.fspath(path)}.png", lambda file: picture.save(file, format="PNG"))
    volume = _like(mask, image) if source == "nifti" else _plain(mask)
    return atomic_write(f"{os.fspath(path)}.nii.gz", lambda file: file.write(_compressed(volume)))


def _like(mask: npt.NDArray[np.bool_], image: str | os.PathLike[str]) -> Any:
    """The mask with shape, orientation and affine of a NIfTI radiograph."""
    source = open_nifti(os.fspath(image))
    axes = [axis for axis, length in enumerate(source.shape) if length > 1]
    plane = np.arange(np.prod(source.shape)).reshape([source.shape[axis] for axis in axes])
    turned = orient_rows_down(plane, np.asarray(source.affine), (axes[0], axes[1]))[0]
    if turned.shape != mask.shape:
        raise ValueError(f"mask is {mask.shape} and its image '{image}' {turned.shape}, expected the same (H, W).")
    values = np.zeros(plane.size, dtype=np.uint8)
    values[turned.ravel()] = mask.ravel()
    header = source.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    return type(source)(values.reshape(source.shape), source.affine, header)


def _plain(mask: npt.NDArray[np.bool_]) -> Any:
    """Columns first, x and y with the negative sign of ITK, so that nothing is turned when it is read."""
    return nib.Nifti1Image(mask.T.astype(np.uint8), np.diag([-1.0, -1.0, 1.0, 1.0]))


def _compressed(volume: Any) -> bytes:
    return gzip.compress(volume.to_bytes(), mtime=0)
