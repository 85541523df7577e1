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

"""Reader of DICOM radiographs (CR, DX and relatives), through pydicom."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi
from pydicom.uid import ImplicitVRLittleEndian

from monai_lamps.data.dicom_pixels import decode_pixels
from monai_lamps.data.errors import NoPixelDataError, RadiographError
from monai_lamps.data.intensity import (
    bit_depth,
    linear_window,
    percentile_window,
    rgb_to_grey,
    scale_integers,
    sigmoid_window,
)

__all__ = ["read_dicom"]

#: Patient identities that de-identification leaves behind: they name nobody.
NO_PATIENT = {"", "0", "anon", "anonymous", "anonymized", "anonymised", "na", "n/a", "none", "null", "unknown"}


def read_dicom(path: str) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Read a single-frame DICOM image as a reader sees it on a workstation.

    In this order: decoding, modality LUT (rescale or table), VOI, polarity. The VOI is the first of: VOI LUT Sequence;
    window (LINEAR, LINEAR_EXACT, SIGMOID; the first if there are several); for unscaled 8-bit images the full range
    0..255, as in a picture file; else the 0.5th to 99.5th percentile of the pixels that are not padding. A window that
    leaves one grey value only is treated as absent. The polarity is inverted when Photometric Interpretation is
    MONOCHROME1 or Presentation LUT Shape is INVERSE: in a DX image both describe the same, single inversion
    (PS3.3 C.8.11.3.1.2). Bone is bright afterwards.

    Args:
        path: the file, with or without the DICOM preamble.

    Returns:
        (H, W) float32 in [0, 1], rows downwards, and ``meta`` with ``format``, ``bits`` (stored), ``photometric``,
        ``transfer_syntax``, ``voi`` and, where known, ``patient``, ``modality``, ``view`` and ``spacing``
        (row, column) in mm.

    Raises:
        RadiographError: several frames, colour, missing decoder, truncated or undecodable pixel data, NaN pixels.
        NoPixelDataError: a sound DICOM object that holds no image.
    """
    dataset = _parse(path)
    stored = decode_pixels(dataset, path)
    if stored.ndim == 3:
        return _grey_from_rgb(dataset, stored, path)
    with np.errstate(over="ignore", invalid="ignore"):  # an absurd rescale is refused in the next line
        values = apply_modality_lut(stored, dataset)
    if not np.isfinite(values).all():
        raise RadiographError(path, "NaN or infinite pixels", "export the picture again from its source")
    pixels, voi = _apply_voi(dataset, stored, values)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    inverse = str(dataset.get("PresentationLUTShape", "") or "").strip().upper() == "INVERSE"
    if photometric == "MONOCHROME1" or inverse:
        pixels = 1.0 - pixels
    return pixels, {**_header(dataset), "voi": voi}


def _parse(path: str) -> pydicom.Dataset:
    """Read the header and check, before decoding, that it describes one frame of pixels."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = pydicom.dcmread(path, force=True)
    ended_early = [str(w.message) for w in caught if "End of file" in str(w.message)]
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        if ended_early or "Rows" in dataset or not len(dataset):
            raise RadiographError(path, "DICOM file that ends before its pixel data is complete", "copy it again")
        kind = dataset.get("SOPClassUID")
        name = kind.name if kind is not None else "unknown SOP class"
        raise NoPixelDataError(path, f"DICOM object without an image ({name})", "leave it out of the folder")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise RadiographError(path, f"DICOM with {frames} frames, expected one", "export the wanted frame on its own")
    if getattr(dataset.file_meta, "TransferSyntaxUID", None) is None:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


def _apply_voi(
    dataset: pydicom.Dataset, stored: npt.NDArray, values: npt.NDArray
) -> tuple[npt.NDArray[np.float32], str]:
    """Values after the modality LUT to [0, 1], and the name of the rule that was used."""
    if dataset.get("VOILUTSequence") and np.issubdtype(_as_integers(values).dtype, np.integer):
        pixels = _apply_voi_lut(dataset, _as_integers(values))
        if pixels.min() < pixels.max():
            return pixels, "VOI LUT"
    window = _window(dataset)
    if window is not None:
        center, width, function = window
        if function == "SIGMOID":
            pixels = sigmoid_window(values, center, width)
        else:
            pixels = linear_window(values, center, width, exact=function == "LINEAR_EXACT")
        if pixels.min() < pixels.max():
            return pixels, f"{function} {center:g}/{width:g}"
    if stored.dtype == np.uint8 and np.array_equal(stored, values):
        return scale_integers(stored, 8)[0], "full range"
    return percentile_window(values, ~_padding(dataset, stored)), "percentiles"


def _as_integers(values: npt.NDArray) -> npt.NDArray:
    """Whole-numbered floats (pydicom's rescale yields float64) as integers; others unchanged."""
    if np.issubdtype(values.dtype, np.integer):
        return values
    rounded = np.rint(values)
    return rounded.astype(np.int32) if np.array_equal(rounded, values) else values


def _apply_voi_lut(dataset: pydicom.Dataset, values: npt.NDArray) -> npt.NDArray[np.float32]:
    """The first VOI LUT, scaled by the bit depth that its largest entry needs (8..16)."""
    item = dataset.VOILUTSequence[0]
    entries, first = int(item.LUTDescriptor[0]) or 2**16, int(item.LUTDescriptor[1])
    table = apply_voi(np.arange(first, first + entries, dtype=np.int32), dataset)
    span = np.float32(2 ** bit_depth(int(table.max())) - 1)
    return np.asarray(apply_voi(values, dataset) / span, dtype=np.float32)


def _window(dataset: pydicom.Dataset) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window, ``None`` where there is no usable one."""
    first: list[float] = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = dataset.get(keyword)
        if isinstance(value, pydicom.multival.MultiValue):
            value = value[0] if len(value) else None
        if value is None or value == "":
            return None
        first.append(float(value))
    center, width = first
    function = str(dataset.get("VOILUTFunction", "") or "LINEAR").strip().upper()
    usable = np.isfinite(center) and np.isfinite(width) and (width >= 1 if function == "LINEAR" else width > 0)
    return (center, width, function) if usable else None


def _padding(dataset: pydicom.Dataset, stored: npt.NDArray) -> npt.NDArray[np.bool_]:
    """(H, W) bool, the pixels that Pixel Padding Value (and Range Limit) mark as no part of the image."""
    value = dataset.get("PixelPaddingValue")
    if value is None or value == "":
        return np.zeros(stored.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(limit) if limit not in (None, "") else int(value)))
    return (stored >= low) & (stored <= high)


def _grey_from_rgb(
    dataset: pydicom.Dataset, stored: npt.NDArray, path: str
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """An RGB, YBR or palette image that is really grey."""
    grey, share = rgb_to_grey(stored[..., :3])
    if grey is None:
        raise RadiographError(
            path, f"a colour image ({share:.0%} coloured pixels), expected a grey radiograph", "remove it"
        )
    pixels, _ = scale_integers(grey, 8 if grey.dtype == np.uint8 else None)
    return pixels, {**_header(dataset), "voi": "full range"}


def _header(dataset: pydicom.Dataset) -> dict[str, Any]:
    """What the rest of the pipeline may want to know, as primitives."""
    meta: dict[str, Any] = {
        "format": "DICOM",
        "bits": int(dataset.get("BitsStored") or dataset.BitsAllocated),
        "photometric": str(dataset.get("PhotometricInterpretation", "")),
        "transfer_syntax": dataset.file_meta.TransferSyntaxUID.name,
    }
    patient = str(dataset.get("PatientID", "") or "").strip()
    if patient.lower() not in NO_PATIENT:
        meta["patient"] = patient
    for key, keyword in (("modality", "Modality"), ("view", "ViewPosition")):
        if str(dataset.get(keyword, "") or "").strip():
            meta[key] = str(dataset.get(keyword)).strip()
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(keyword)
        if value is not None and len(value) == 2 and min(float(v) for v in value) > 0:
            meta["spacing"] = [float(v) for v in value]
            break
    return meta
