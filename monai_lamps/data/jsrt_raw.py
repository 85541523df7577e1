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
"""Reader of the raw films of the JSRT database (``JPCLN001.IMG``)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.errors import RadiographError

__all__ = ["JSRT_SIZE", "is_jsrt_raw", "read_jsrt_raw"]

#: height and width of every film of the database
JSRT_SIZE = (2048, 2048)
_BYTES = 2 * JSRT_SIZE[0] * JSRT_SIZE[1]
_LARGEST = 4095  # 12 bits
_SPACING = 0.175  # mm


def is_jsrt_raw(path: str | os.PathLike[str]) -> bool:
    """Whether a file may be a raw film: it has no header, so its name (``.IMG``) and its exact length must tell."""
    path = os.fspath(path)
    return path.lower().endswith(".img") and os.path.getsize(path) == _BYTES


def read_jsrt_raw(path: str | os.PathLike[str]) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Read a raw film: 2048 x 2048 values of 12 bits, big-endian, without a header, larger is darker.

    The values are inverted and divided by 4095, so that bone is bright; nothing is equalised.

    Args:
        path: the ``.IMG`` file.

    Returns:
        (2048, 2048) float32 in [0, 1], rows downwards, and ``meta`` with ``format``, ``bits``, ``photometric`` and
        ``spacing`` (row, column) in mm.

    Raises:
        RadiographError: another length, or values above 4095 (another byte order, another raw format).
    """
    path = os.fspath(path)
    length = os.path.getsize(path)
    if length != _BYTES:
        raise RadiographError(
            path, f"{length} bytes, a raw JSRT film has {_BYTES}", "copy it again, or convert other .img files to PNG"
        )
    stored = np.fromfile(path, dtype=">u2").reshape(JSRT_SIZE)
    largest = int(stored.max())
    if largest > _LARGEST:
        raise RadiographError(
            path,
            f"raw values up to {largest}, a JSRT film has 12 bits (big-endian, up to {_LARGEST})",
            "check the byte order, or convert other .img files to PNG",
        )
    pixels = (_LARGEST - stored.astype(np.float32)) / np.float32(_LARGEST)
    meta = {"format": "JSRT", "bits": 12, "photometric": "MONOCHROME1", "spacing": [_SPACING, _SPACING]}
    return pixels, meta
