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
"""One part of a cache: written once, atomically, its table last; and checked before it is read."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from monai_lamps.data.atomic import atomic_write
from monai_lamps.data.cache.layout import ALIGNMENT, RECORD, CacheDescription, CacheError, name_digest, part_name

__all__ = ["PartFile", "part_problem", "read_table", "record_bytes", "rejected_images", "rejection", "write_part"]

_CHECKSUM_BYTES = 16


def write_part(
    folder: str | Path,
    number: int,
    description: CacheDescription,
    names: Sequence[str],
    images: Iterable[npt.NDArray | str],
) -> None:
    """Write one part. It is there once its table is: whatever stops this leaves no part, or a whole one.

    Args:
        folder: the cache.
        number: number of the part.
        description: the cache's description; the table's checksum depends on it, so that a part of another cache is
            noticed.
        names: names of the images.
        images: for each name, in this order, its (H, W) uint8 or uint16 pixels, or why there are none.
    """
    path = Path(folder) / part_name(number)
    path.with_suffix(".npy").unlink(missing_ok=True)  # a part that is made anew has no table meanwhile
    for left in Path(folder).glob(f".{part_name(number)}.*.tmp"):  # by a build that was killed
        left.unlink(missing_ok=True)
    table = np.zeros(len(names), dtype=RECORD)
    atomic_write(path.with_suffix(".bin"), lambda file: _write_records(file, table, names, images))
    buffer = io.BytesIO()
    np.save(buffer, table)
    content = buffer.getvalue()
    checksum = _table_checksum(content, number, description)
    atomic_write(path.with_suffix(".npy"), lambda file: file.write(content + checksum))


def _write_records(
    file: IO[bytes], table: npt.NDArray, names: Sequence[str], images: Iterable[npt.NDArray | str]
) -> None:
    """Write the records and fill the table."""
    end = 0
    for row, (name, image) in enumerate(zip(names, images, strict=True)):
        if isinstance(image, str):
            content = f"{name}\0{image}".encode("utf-8", errors="surrogateescape")
            shape, itemsize = (1, len(content)), 0
        else:
            content = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("<")).tobytes()
            shape, itemsize = image.shape, image.dtype.itemsize
        offset = -(-end // ALIGNMENT) * ALIGNMENT
        file.write(bytes(offset - end) + content)
        end = offset + len(content)
        table[row] = (name_digest(name), offset, *shape, itemsize, zlib.crc32(content))


def read_table(folder: str | Path, number: int, description: CacheDescription) -> npt.NDArray:
    """The table of a part, once its checksum and the length of the pixel file agree.

    Returns:
        (images,) of :data:`~monai_lamps.data.cache.layout.RECORD`.

    Raises:
        CacheError: naming the file and what is wrong with it.
    """
    path = Path(folder) / part_name(number)
    try:
        data = path.with_suffix(".npy").read_bytes()
    except FileNotFoundError:
        raise CacheError(f"{path.name}.npy is missing") from None
    except OSError as error:
        raise CacheError(f"{path.name}.npy cannot be read ({error.strerror})") from error
    content, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if checksum != _table_checksum(content, number, description):
        raise CacheError(f"{path.name}.npy is damaged or of another cache")
    table: npt.NDArray = np.load(io.BytesIO(content), allow_pickle=False)
    expected = int(table["offset"][-1]) + record_bytes(table[-1])
    try:
        length = os.stat(path.with_suffix(".bin")).st_size
    except OSError:
        raise CacheError(f"{path.name}.bin is missing") from None
    if length != expected:
        raise CacheError(f"{path.name}.bin has {length} bytes, expected {expected}")
    return table


def rejected_images(folder: str | Path, number: int, description: CacheDescription) -> list[tuple[str, str]]:
    """Names of the images of a part that could not be read, each with the reason.

    Raises:
        CacheError: when the part cannot be used.
    """
    rows = [row for row in read_table(folder, number, description) if row["itemsize"] == 0]
    file = PartFile((Path(folder) / part_name(number)).with_suffix(".bin")) if rows else None
    found = []
    for row in rows:
        content = file.read(row) if file is not None else None
        if content is None:
            raise CacheError(f"{part_name(number)}.bin is damaged: a record fails its checksum")
        found.append(rejection(content))
    return found


def rejection(content: bytes) -> tuple[str, str]:
    """Name and reason, from the record of an image that could not be read."""
    name, _, reason = content.decode("utf-8", errors="surrogateescape").partition("\0")
    return name, reason


def part_problem(folder: str | Path, number: int, description: CacheDescription) -> str | None:
    """Why a part cannot be used, ``None`` for one that is there (its pixels are not read)."""
    try:
        read_table(folder, number, description)
    except CacheError as error:
        return str(error)
    return None


def record_bytes(row: npt.NDArray) -> int:
    """Length of a record by its row of the table."""
    return int(row["height"]) * int(row["width"]) * max(int(row["itemsize"]), 1)


class PartFile:
    """The pixel file of a part, open for positional reads; it closes when nothing refers to it any more.

    A read and not a memory map: with the file in the page cache both cost the same, from a disk the read is faster
    (one request for a whole record), and a file that is truncated or a disk that fails under a memory map ends the
    process with a bus error, where a read raises an exception.

    Args:
        path: the ``.bin`` file.
    """

    def __init__(self, path: Path) -> None:
        self._handle = -1
        self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))

    def read(self, row: npt.NDArray) -> bytes | None:
        """The bytes of a record, ``None`` when they fail their checksum or the file ends before."""
        length, offset = record_bytes(row), int(row["offset"])
        content = os.pread(self._handle, length, offset)
        while len(content) < length:  # a read may be interrupted, or the file may have been truncated
            more = os.pread(self._handle, length - len(content), offset + len(content))
            if not more:
                return None
            content += more
        return content if zlib.crc32(content) == int(row["crc32"]) else None

    def __del__(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)


def _table_checksum(content: bytes, number: int, description: CacheDescription) -> bytes:
    """Of a table's bytes, its number and the cache it belongs to."""
    digest = hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES, key=description.identity.encode())
    digest.update(str(number).encode())
    return digest.digest()
