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

"""Intensity rules: from stored values to float32 in [0, 1], the same for all file formats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["bit_depth", "linear_window", "percentile_window", "rgb_to_grey", "scale_integers", "sigmoid_window"]

#: A pixel counts as coloured when its largest and smallest channel differ by more than this (of 255). Chroma noise of
#: a JPEG of a grey picture stays below 10; a slight uniform tint of a scanned film stays below 24.
COLOUR_SPREAD = 24
#: A picture with a larger share of coloured pixels is a colour photograph. Letters and arrows stay below it.
COLOUR_SHARE = 0.05
#: Percentiles that become 0 and 1 where the file says nothing about its display range.
WINDOW_PERCENTILES = (0.5, 99.5)


def bit_depth(largest: int) -> int:
    """Smallest bit depth b in 8..16 with ``2**b - 1 >= largest`` (12-bit data in a 16-bit file gives 12).

    Args:
        largest: largest stored value, non-negative.

    Raises:
        ValueError: when the value does not fit in 16 bits.
    """
    if not 0 <= largest <= 65535:
        raise ValueError(f"the largest stored value must lie in 0..65535, got {largest}; use percentile_window instead")
    return max(8, int(largest).bit_length())


def scale_integers(values: npt.NDArray, bits: int | None = None) -> tuple[npt.NDArray[np.float32], int | None]:
    """Divide integer values by ``2**b - 1``.

    Negative values are moved up so that the smallest becomes 0. Values wider than 16 bits get a percentile window.

    Args:
        values: (H, W) integers.
        bits: bit depth b; ``None`` takes :func:`bit_depth` of the largest value.

    Returns:
        (H, W) float32 in [0, 1] and the bit depth used (``None`` for a percentile window).
    """
    if np.issubdtype(values.dtype, np.signedinteger) and (smallest := int(values.min())) < 0:
        values = values.astype(np.int64) - smallest
    largest = int(values.max())
    if largest > 65535:
        return percentile_window(values), None
    if bits is None:
        bits = bit_depth(largest)
    scaled: npt.NDArray[np.float32] = values.astype(np.float32)  # a copy, as the next line works in place
    scaled /= np.float32(2**bits - 1)
    return _clip(scaled) if largest > 2**bits - 1 else scaled, bits


def percentile_window(values: npt.NDArray, valid: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float32]:
    """Map the 0.5th and the 99.5th percentile to 0 and 1 and clip.

    Where both percentiles coincide (a picture of almost one value), the minimum and the maximum are taken.

    Args:
        values: (H, W) finite numbers.
        valid: (H, W) bool, the pixels that the percentiles are taken from; ``None`` means all.

    Returns:
        (H, W) float32 in [0, 1].
    """
    values = values.astype(np.float32)
    sample = values if valid is None or not valid.any() else values[valid]
    low, high = (float(p) for p in np.percentile(sample, WINDOW_PERCENTILES))
    if low >= high:
        low, high = float(sample.min()), float(sample.max())
    if low >= high:
        return np.zeros_like(values)
    return _clip((values - np.float32(low)) / np.float32(high - low))


def linear_window(values: npt.NDArray, center: float, width: float, exact: bool = False) -> npt.NDArray[np.float32]:
    """DICOM window of the function LINEAR or LINEAR_EXACT (PS3.3 C.11.2.1.2.1 and C.11.2.1.3.2), to [0, 1].

    Args:
        values: (H, W) values after the modality LUT.
        center: window centre.
        width: window width, at least 1 for LINEAR, above 0 for LINEAR_EXACT.
        exact: LINEAR_EXACT instead of LINEAR.

    Returns:
        (H, W) float32 in [0, 1].
    """
    values = values.astype(np.float32)
    if exact:
        low, span = center - width / 2, width
    else:
        low, span = center - 0.5 - (width - 1) / 2, width - 1
    if span <= 0:  # LINEAR of width 1 is a threshold
        return (values > low).astype(np.float32)
    return _clip((values - np.float32(low)) / np.float32(span))


def sigmoid_window(values: npt.NDArray, center: float, width: float) -> npt.NDArray[np.float32]:
    """DICOM window of the function SIGMOID (PS3.3 C.11.2.1.3.1), to [0, 1].

    Args:
        values: (H, W) values after the modality LUT.
        center: window centre, mapped to 0.5.
        width: window width, above 0.

    Returns:
        (H, W) float32 in (0, 1).
    """
    exponent = np.clip(-4.0 * (values.astype(np.float32) - center) / width, -80.0, 80.0)
    return np.asarray(1.0 / (1.0 + np.exp(exponent)), dtype=np.float32)


def _clip(values: npt.NDArray) -> npt.NDArray[np.float32]:
    """Into [0, 1], as float32."""
    return np.asarray(np.clip(values, 0.0, 1.0), dtype=np.float32)


def rgb_to_grey(rgb: npt.NDArray) -> tuple[npt.NDArray | None, float]:
    """Turn a three-channel picture that is really grey into one channel.

    Args:
        rgb: (H, W, 3) uint8 or uint16.

    Returns:
        (H, W) of the same type (ITU-R 601 luma; the channel itself where all three agree), or ``None`` for a colour
        picture, and the share of coloured pixels in [0, 1].
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), 0.0
    unit = 257 if rgb.dtype == np.uint16 and int(rgb.max()) > 255 else 1
    spread = rgb.max(axis=-1) - rgb.min(axis=-1)
    share = float((spread > COLOUR_SPREAD * unit).mean())
    if share > COLOUR_SHARE:
        return None, share
    luma = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(luma).astype(rgb.dtype), share
