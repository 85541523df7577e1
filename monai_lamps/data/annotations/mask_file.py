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
"""Masks from files: label maps and masks of one structure, in the orientation of the radiograph reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import aff2axcodes
from PIL import Image, ImageOps

from monai_lamps.data.annotations.error import AnnotationError
from monai_lamps.data.errors import RadiographError
from monai_lamps.data.nifti import open_nifti, orient_rows_down
from monai_lamps.data.radiograph import detect_format
from monai_lamps.data.raster import RASTER_FORMATS

__all__ = ["check_orientation", "list_values", "read_binary_mask", "read_label_map"]

_SHOWN = 8  # values that an error lists


def read_label_map(path: str | os.PathLike[str]) -> npt.NDArray[np.int64]:
    """Read a label map: one whole number for each pixel.

    The pixels of a palette picture are its indices (the colours only show them), as in most label maps with a palette.
    EXIF orientation and NIfTI affine are obeyed as :func:`~monai_lamps.data.radiograph.read_radiograph` obeys them, so
    mask and image stay on each other.

    Args:
        path: PNG, GIF, TIFF, BMP or another picture, or NIfTI.

    Returns:
        (H, W) int64, rows downwards.

    Raises:
        AnnotationError: no such file, damaged, several frames, a colour picture, transparency, a volume, values that
            are not whole.
    """
    path = os.fspath(path)
    pixels = _read(path, indices=True)
    if pixels.ndim == 3:
        if not (pixels == pixels[..., :1]).all():
            raise AnnotationError(
                f"label map '{path}' is a colour picture; expected one number a pixel: save it as a one-channel or "
                "palette PNG."
            )
        pixels = pixels[..., 0]
    return pixels.astype(np.int64)


def read_binary_mask(path: str | os.PathLike[str]) -> npt.NDArray[np.bool_]:
    """Read the mask of one structure: 0 (black) is outside, the one other value is inside.

    A picture of 0 only is an empty mask: the structure was looked for and is not there. A palette picture counts as it
    is shown, through its palette.

    Args:
        path: PNG, GIF, TIFF, BMP or another picture, or NIfTI.

    Returns:
        (H, W) bool, rows downwards.

    Raises:
        AnnotationError: as :func:`read_label_map`, and for more than one value beside 0 (a label map, or a mask that
            was interpolated or saved as JPEG).
    """
    path = os.fspath(path)
    pixels = _read(path, indices=False)
    flat = pixels if pixels.ndim == 2 else pixels.astype(np.int64) @ np.array([1 << 32, 1 << 16, 1])
    inside: npt.NDArray[np.bool_] = flat != 0
    if inside.any() and (flat[inside] != flat[inside][0]).any():
        values = list_values(pixels if pixels.ndim == 2 else pixels.max(axis=-1))
        raise AnnotationError(
            f"mask '{path}' holds the values {values}; expected 0 and one other: give a label map under 'label', or "
            "threshold an interpolated or JPEG mask at half of its largest value and save it as PNG."
        )
    return inside


def check_orientation(mask: str | os.PathLike[str], image: str | os.PathLike[str]) -> None:
    """Refuse a NIfTI mask whose affine turns it differently from its NIfTI image; other pairs pass.

    Both are turned to rows downwards by their own affine, so one of them with a lost or changed affine would lie on the
    other mirrored, at the same size.

    Args:
        mask: the mask.
        image: the image that it belongs to.

    Raises:
        AnnotationError: when the two are turned differently.
    """
    mask, image = os.fspath(mask), os.fspath(image)
    if not (os.path.isfile(image) and detect_format(mask) == "nifti" and detect_format(image) == "nifti"):
        return
    (codes, turned), (image_codes, image_turned) = _turn(mask), _turn(image)
    if not np.array_equal(turned, image_turned):
        raise AnnotationError(
            f"mask '{mask}' (axes {codes}) and image '{image}' (axes {image_codes}) are turned differently by their "
            "affines; save both with the same affine."
        )


def list_values(values: npt.NDArray) -> str:
    """The distinct values as text, at most eight of them."""
    found = [f"{value:g}" for value in np.unique(values).tolist()]
    return ", ".join(found[:_SHOWN]) + (f", ... ({len(found)} in all)" if len(found) > _SHOWN else "")


def _read(path: str, indices: bool) -> npt.NDArray:
    """(H, W) or (H, W, 3) non-negative whole numbers."""
    if not Path(path).exists():
        raise AnnotationError(f"mask '{path}' does not exist; mend its path in the datalist, or leave the item out.")
    try:
        kind = detect_format(path)
        if kind == "dicom":
            raise AnnotationError(
                f"mask '{path}' is a DICOM file; expected a picture or NIfTI: export it to PNG or NIfTI first."
            )
        values = _read_nifti(path) if kind == "nifti" else _read_raster(path, indices)
    except (AnnotationError, MemoryError):
        raise
    except RadiographError as error:
        raise AnnotationError(f"mask '{path}': {error.reason}.") from error
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, EOFError, struct.error, ...
        text = " ".join(str(error).replace(path, "it").split())[:200] or type(error).__name__
        raise AnnotationError(f"mask '{path}' cannot be decoded ({text}); copy it again.") from error
    if np.issubdtype(values.dtype, np.floating):
        if not (np.isfinite(values).all() and np.array_equal(values, np.rint(values))):
            raise AnnotationError(f"mask '{path}' holds values that are not whole; save labels as integers.")
        values = values.astype(np.int64)
    if values.min() < 0:
        raise AnnotationError(f"mask '{path}' holds {values.min()}; expected 0 for outside and positive labels.")
    return values


def _read_raster(path: str, indices: bool) -> npt.NDArray:
    with open(path, "rb") as handle, Image.open(handle, formats=RASTER_FORMATS) as image:
        frames = int(getattr(image, "n_frames", 1))
        if frames > 1:
            raise AnnotationError(f"mask '{path}' has {frames} frames; expected one: save the wanted one alone.")
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode == "P" and indices:
        return np.asarray(upright)
    if upright.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in upright.info:
        channels = np.asarray(upright.convert("RGBA"))
        if channels[..., 3].min() != channels[..., 3].max():
            raise AnnotationError(f"mask '{path}' has transparent parts; save it without an alpha channel.")
        return channels[..., :3]
    if upright.mode == "1":
        return np.asarray(upright, dtype=np.uint8)
    if upright.mode in ("L", "F") or upright.mode.startswith("I"):
        return np.asarray(upright)
    return np.asarray(upright.convert("RGB"))


def _read_nifti(path: str) -> npt.NDArray:
    image, axes = _open_plane(path)
    values = np.asarray(image.dataobj).reshape([image.shape[axis] for axis in axes])
    return np.ascontiguousarray(orient_rows_down(values, np.asarray(image.affine), axes)[0])


def _open_plane(path: str) -> tuple[Any, tuple[int, int]]:
    """A NIfTI file and its two axes that are longer than one."""
    image = open_nifti(path)
    axes = [axis for axis, length in enumerate(image.shape) if length > 1]
    if len(axes) != 2 or axes[1] > 2 or image.get_data_dtype().names is not None:
        raise AnnotationError(
            f"mask '{path}' is a NIfTI of shape {tuple(image.shape)}; expected one number a pixel on two axes."
        )
    return image, (axes[0], axes[1])


def _turn(path: str) -> tuple[str, npt.NDArray]:
    """The directions of the axes, and what becomes of a 2 x 3 plane when it is turned to rows downwards."""
    image, axes = _open_plane(path)
    plane = np.arange(6).reshape(2, 3)
    codes = aff2axcodes(image.affine)
    return "".join(str(codes[axis]) for axis in axes), orient_rows_down(plane, np.asarray(image.affine), axes)[0]
