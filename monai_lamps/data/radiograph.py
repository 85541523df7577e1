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

"""One reader for all radiographs: by content, never by suffix; one channel, rows downwards, bone bright."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.dicom import read_dicom
from monai_lamps.data.errors import NoPixelDataError, RadiographError
from monai_lamps.data.jsrt_raw import is_jsrt_raw, read_jsrt_raw
from monai_lamps.data.nifti import read_nifti
from monai_lamps.data.raster import read_raster

__all__ = ["NoPixelDataError", "RadiographError", "detect_format", "read_radiograph"]

Reader = Callable[[str], tuple[npt.NDArray[np.float32], dict[str, Any]]]

_READERS: dict[str, Reader] = {"raster": read_raster, "dicom": read_dicom, "nifti": read_nifti, "jsrt": read_jsrt_raw}
_RASTER_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"BM",
    b"GIF87a",
    b"GIF89a",
    b"P2",
    b"P5",
    b"P6",
    b"\x00\x00\x00\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
_NAMED = {b"%PDF": "a PDF document", b"PK\x03\x04": "a ZIP archive", b"\x93NUMPY": "a NumPy array", b"{": "JSON text"}
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error", b"<svg")


def read_radiograph(
    path: str | os.PathLike[str], *, min_size: int = 32, max_aspect: float = 8.0
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Read one radiograph of any supported format.

    The picture is what a reader sees on a workstation: 0 (dark) is where most radiation passed (air), 1 (bright) where
    least did (bone, metal). Picture files (PNG, JPEG, ...) carry no polarity and are taken as displayed; DICOM headers
    are obeyed. The range is the file's display range, not a physical unit: see
    :func:`~monai_lamps.data.raster.read_raster`, :func:`~monai_lamps.data.dicom.read_dicom` and
    :func:`~monai_lamps.data.nifti.read_nifti` for each format's rule. The format is recognised by content, so a PNG
    named ``.jpeg`` is read as PNG. Nothing is resized, cropped, equalised or turned (but for EXIF).

    Args:
        path: the file.
        min_size: shortest allowed side in pixels.
        max_aspect: largest allowed ratio of the long to the short side.

    Returns:
        (H, W) float32 in [0, 1], contiguous, rows downwards; and ``meta`` of primitives: ``format``, ``bits``,
        ``photometric``, ``height``, ``width`` and, where the file knows them, ``patient``, ``spacing`` (row, column)
        and others of its format.

    Raises:
        RadiographError: the file cannot be used; the text names the file, what was found and the mend.

    Example::

        pixels, meta = read_radiograph("chest.dcm")
    """
    path = os.fspath(path)
    kind = detect_format(path)
    try:
        pixels, meta = _READERS[kind](path)
    except RadiographError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, KeyError, struct.error, EOFError, ...
        text = " ".join(str(error).replace(path, "it").split())[:200] or type(error).__name__
        raise RadiographError(
            path, f"{kind} file that cannot be decoded ({text})", "it is truncated or damaged, copy it again"
        ) from error
    _check_pixels(pixels, path, min_size, max_aspect, finite=kind == "raster")  # made of integers, or checked there
    height, width = pixels.shape
    return np.ascontiguousarray(pixels, dtype=np.float32), {**meta, "height": height, "width": width}


def detect_format(path: str | os.PathLike[str]) -> str:
    """Tell the format of a file by its first bytes.

    Args:
        path: the file.

    Returns:
        ``"raster"``, ``"dicom"``, ``"nifti"`` or ``"jsrt"`` (a raw film of the JSRT database).

    Raises:
        RadiographError: missing, unreadable, empty or unknown file. A web page, a PDF and the like are named as such.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise RadiographError(path, "a device, pipe or socket, expected a file", "remove it")  # reading it may hang
    try:
        with open(path, "rb") as handle:
            head = handle.read(400)
    except OSError as error:
        found = {FileNotFoundError: "no such file", IsADirectoryError: "a folder, expected a file"}.get(
            type(error), f"cannot be opened ({error.strerror})"
        )
        raise RadiographError(path, found, "check the path and the permissions") from error
    if not head:
        raise RadiographError(path, "empty file (0 bytes)", "copy it again from its source")
    if is_jsrt_raw(path):
        return "jsrt"
    if head[128:132] == b"DICM":  # first: its preamble may make it a TIFF as well
        return "dicom"
    if head.startswith(_RASTER_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "raster"
    if _is_bare_dicom(head):
        return "dicom"
    if _is_nifti(head) or (head[:2] == b"\x1f\x8b" and _is_nifti(_gunzip_head(path))):
        return "nifti"
    raise RadiographError(path, f"{_describe(head)}, expected PNG, JPEG, DICOM or NIfTI", "remove it or fetch it again")


def _check_pixels(pixels: npt.NDArray[np.float32], path: str, min_size: int, max_aspect: float, finite: bool) -> None:
    """Refuse what no training can use; ``finite``: the reader knows that there is no NaN."""
    height, width = pixels.shape
    short, long = min(height, width), max(height, width)
    if short < min_size:
        raise RadiographError(
            path,
            f"{width} x {height} pixels (width x height), the shortest side must be at least {min_size}",
            "use a larger copy or lower min_size",
        )
    if long > max_aspect * short:
        raise RadiographError(
            path,
            f"{width} x {height} pixels, the ratio of its sides is {long / short:.1f}, at most {max_aspect:g} is "
            "allowed",
            "crop it or raise max_aspect",
        )
    flat = pixels.ravel()
    if not finite and not np.isfinite(np.dot(flat, flat)):  # one pass, and quicker than asking every pixel
        raise RadiographError(path, "NaN or infinite pixels", "export the picture again from its source")
    value = pixels[height // 2, width // 2]
    if (pixels[height // 2] == value).all() and (pixels == value).all():  # most pictures differ in their middle row
        raise RadiographError(path, f"all pixels have the same value ({value:g} of 0..1)", "remove this empty picture")


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 (single file or pair) or NIfTI-2 header."""
    return head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] == b"n+2\x00"


def _is_bare_dicom(head: bytes) -> bool:
    """DICOM without the 128-byte preamble: a group 0002 or 0008 element comes first, low element number."""
    if len(head) < 12 or head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3] != 0:
        return False
    if head[4:6].isalpha() and head[4:6].isupper():
        return True  # explicit value representation
    return 0 < int.from_bytes(head[4:8], "little") <= 64  # implicit: length of the value


def _gunzip_head(path: str) -> bytes:
    """The first bytes inside a gzip file, empty when it is damaged."""
    try:
        with gzip.open(path, "rb") as handle:
            return handle.read(400)
    except (OSError, EOFError, ValueError):
        return b""


def _describe(head: bytes) -> str:
    """Name what a file is, where that helps."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_MARKUP):
        return "a web page or other markup (HTML or XML), probably a failed download"
    for magic, name in _NAMED.items():
        if text.startswith(magic.lower()):
            return name
    if head[:2] == b"\x1f\x8b":
        return "gzip data that is truncated or no NIfTI"
    if not head.strip(b"\x00"):
        return "zero bytes only"
    return f"unknown content (first bytes {head[:8].hex(' ')})"
