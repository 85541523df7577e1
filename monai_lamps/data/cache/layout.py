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
"""What lies in a cache folder: names of its files, the table of a part, and ``cache.json``, which describes it.

A cache is a folder::

    cache.json        what it holds: version, size, names, how it was made; with its own checksum
    datalist.json     the datalist with the cache's own names: all that training needs besides the parts
    part-00000.bin    the pixels of up to 1024 images, one record after the other, each at a multiple of 64 bytes
    part-00000.npy    its table (:data:`RECORD`), one row a record, readable with ``numpy.load``, and a checksum
    ...
    rejected.csv      images that could not be read, with the reason

Names are sorted and cut into parts, so what a part holds is a function of the set of names alone: machines can make
different parts, and putting a cache together means that the parts lie side by side.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from monai_lamps.data.atomic import atomic_write

__all__ = ["DTYPES", "RECORD", "CacheDescription", "CacheError", "cache_command", "name_digest", "part_name"]

FORMAT = "monai_lamps array cache"
VERSION = 1
DESCRIPTION, DATALIST, REJECTED = "cache.json", "datalist.json", "rejected.csv"
#: images of a part, at most
IMAGES_PER_PART = 1024
#: a record starts at a multiple of this many bytes
ALIGNMENT = 64
#: entries of the description that do not decide what the parts hold
_INFORMATION = ("base", "made_by")
#: how pixels are stored: 8 bits where they lose nothing and 16 elsewhere, or always the one or the other
DTYPES = ("auto", "uint8", "uint16")

#: A row of a part's table: BLAKE2b digest of the image's name, first byte in the part, size in pixels, bytes a pixel
#: and CRC-32 of the record's bytes. An ``itemsize`` of 0 marks an image that could not be read: its record is
#: UTF-8 text of ``width`` bytes, the name, a zero byte and the reason.
RECORD = np.dtype(
    [("digest", "S16"), ("offset", "<u8"), ("height", "<u4"), ("width", "<u4"), ("itemsize", "u1"), ("crc32", "<u4")]
)


class CacheError(ValueError):
    """A cache that cannot be used as it is; the text names the cache, what is wrong with it, and the mend."""


def name_digest(name: str) -> bytes:
    """The 16 bytes by which a cache knows an image's name."""
    return hashlib.blake2b(name.encode("utf-8", errors="surrogateescape"), digest_size=16).digest()


def part_name(number: int) -> str:
    """What the two files of a part are called, without their suffix."""
    return f"part-{number:05d}"


def cache_command(path: str | Path, made_by: str = "python -m monai_lamps.data cache DATALIST --size SIZE") -> str:
    """The command that makes what a cache lacks.

    Args:
        path: folder of the cache.
        made_by: the command that made it, without ``--out`` (see :class:`CacheDescription`).
    """
    return f"{made_by} --out {shlex.quote(str(path))}"


@dataclass(frozen=True)
class CacheDescription:
    """The content of ``cache.json``.

    Args:
        size: longest allowed short side of an image, px.
        dtype: one of :data:`DTYPES`.
        images: number of names.
        names_sha256: of the sorted names, each followed by a zero byte.
        images_per_part: names of every part but the last.
        reader: settings of :func:`~monai_lamps.data.read_radiograph` that it was made with.
        base: folder that the names were relative to when it was made.
        made_by: the command that made it, without ``--out``.
    """

    size: int
    dtype: str
    images: int
    names_sha256: str
    images_per_part: int = IMAGES_PER_PART
    reader: dict[str, float] = field(default_factory=dict)
    base: str = ""
    made_by: str = "python -m monai_lamps.data cache DATALIST --size SIZE"

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.images // self.images_per_part)

    @property
    def identity(self) -> str:
        """Digest of all that decides what the parts hold; where and by whom they were made has no part in it."""
        kept = {key: value for key, value in asdict(self).items() if key not in _INFORMATION}
        text = json.dumps({"format": FORMAT, "version": VERSION, **kept}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def images_of(self, number: int) -> range:
        """Positions, among the sorted names, of the images of a part."""
        return range(number * self.images_per_part, min((number + 1) * self.images_per_part, self.images))

    def differences(self, other: CacheDescription) -> list[str]:
        """What of ``other`` would make other parts, as texts with the value here and there."""
        texts = []
        for entry in fields(self):
            here, there = getattr(self, entry.name), getattr(other, entry.name)
            if here != there and entry.name == "names_sha256":
                texts.append("other images")
            elif here != there and entry.name not in _INFORMATION:
                texts.append(f"{entry.name} {here!r} (now {there!r})")
        return texts

    def write(self, folder: str | Path) -> Path:
        """Write ``cache.json`` into a folder, atomically."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        text = json.dumps({**content, "checksum": _checksum(content)}, indent=4) + "\n"
        return atomic_write(Path(folder) / DESCRIPTION, lambda file: file.write(text.encode()))

    @classmethod
    def read(cls, folder: str | Path) -> CacheDescription:
        """Read and check ``cache.json``.

        Raises:
            FileNotFoundError: when the folder or the file does not exist.
            CacheError: when the file is damaged, is no description of a cache, or has another version.
        """
        path = Path(folder) / DESCRIPTION
        if not path.is_file():
            raise FileNotFoundError(
                f"'{folder}' is not a cache, it has no {DESCRIPTION}; make one: {cache_command(folder)}"
            )
        damaged = f"'{path}' is damaged; delete it and run the command that made the cache again: "
        try:
            content = json.loads(path.read_bytes())
        except ValueError as error:
            raise CacheError(f"{damaged}{cache_command(folder)}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise CacheError(f"'{path}' describes no cache; make one in another folder: {cache_command('OTHER')}")
        if content.get("version") != VERSION:
            raise CacheError(
                f"'{folder}' is a cache of version {content.get('version')!r}, this program reads version {VERSION}; "
                f"make it anew in another folder: {cache_command('OTHER')}"
            )
        if content.pop("checksum", None) != _checksum(content):
            raise CacheError(f"{damaged}{cache_command(folder)}")
        return cls(**{entry.name: content[entry.name] for entry in fields(cls)})


def _checksum(content: dict[str, Any]) -> str:
    """Of everything in ``cache.json`` but the checksum itself."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
