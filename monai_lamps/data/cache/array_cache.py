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
"""Read radiographs from an array cache."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.cache.encode import decode_pixels
from monai_lamps.data.cache.layout import CacheDescription, CacheError, cache_command, name_digest, part_name
from monai_lamps.data.cache.names import name_below
from monai_lamps.data.cache.part import PartFile, read_table, rejection
from monai_lamps.data.errors import RadiographError

__all__ = ["ArrayCache"]

_OPEN_PARTS = 256  # files that a process keeps open; most systems allow 1024
_CHUNK = 65536  # names that are looked up together


class ArrayCache:
    """An array cache, as :func:`~monai_lamps.data.build_cache` makes it, for reading.

    Opening reads and checks the table of every part and the length of every pixel file. The tables are kept as one
    sorted array of 57 bytes an image, which forked workers share. A pickled cache is only its path; it opens its files
    anew where it is used, so it goes into data loader workers of any kind. Files are opened at the first read.

    Args:
        path: folder of the cache.
        base: folder that the cache's names are relative to; by default where the images lay when it was made. Names
            below the cache's own folder, as its own datalist gives them, are understood in any case.

    Attributes:
        path: absolute path of the folder.
        description: what it holds.

    Raises:
        FileNotFoundError: when there is no cache.
        CacheError: when it is damaged, unfinished or of another version; the text has the command that mends it.

    Example::

        cache = ArrayCache("cache")
        pixels, meta = cache.read("films/p0.png")
        loader = LoadRadiographd("image", reader=cache.read)
    """

    def __init__(self, path: str | Path, base: str | Path | None = None) -> None:
        self.path = os.path.abspath(path)
        self.description = CacheDescription.read(self.path)
        self.base = os.path.abspath(self.description.base if base is None else base)
        self._open()

    def _open(self) -> None:
        tables, problems = [], []
        for number in range(self.description.parts):
            try:
                tables.append(read_table(self.path, number, self.description))
            except CacheError as error:
                problems.append(str(error))
        if problems:
            raise CacheError(
                f"cache '{self.path}' has {len(problems)} of {self.description.parts} parts missing or damaged "
                f"({'; '.join(problems[:3])}); this makes them: {self._command}"
            )
        table = np.concatenate(tables)
        order = np.argsort(table["digest"], kind="stable")
        self._table = table[order]
        self._digests = np.ascontiguousarray(self._table["digest"])
        self._numbers = (order // self.description.images_per_part).astype(np.uint32)
        self._file = lru_cache(maxsize=_OPEN_PARTS)(self._open_part)

    def _open_part(self, number: int) -> PartFile:
        return PartFile((Path(self.path) / part_name(number)).with_suffix(".bin"))

    @property
    def size(self) -> int:
        """Longest short side of an image, px."""
        return self.description.size

    @property
    def datalist(self) -> Path:
        """The datalist with the cache's own names."""
        return Path(self.path) / "datalist.json"

    def __len__(self) -> int:
        """Number of images, with those that could not be read."""
        return len(self._table)

    def __contains__(self, filename: str | os.PathLike[str]) -> bool:
        return self._find(os.fspath(filename)) is not None

    def read(self, filename: str | os.PathLike[str]) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Read one image, as :func:`~monai_lamps.data.read_radiograph` does, with its checksum verified.

        Args:
            filename: where the image lies or lay; it need not exist.

        Returns:
            (H, W) float32 in [0, 1], contiguous and writable, rows downwards; and ``meta`` with ``format``, ``bits``
            (8 or 16, as stored), ``photometric``, ``height`` and ``width``.

        Raises:
            RadiographError: the image is not in the cache, could not be read when the cache was made, or its record is
                damaged; the text names the file, the part and the mend.
        """
        filename = os.fspath(filename)
        position = self._find(filename)
        if position is None:
            raise RadiographError(
                filename,
                f"not among the {len(self)} images of cache '{self.path}', which were below '{self.base}'",
                "make another cache, of a datalist that has it",
            )
        row, number = self._table[position], int(self._numbers[position])
        try:
            content, cause = self._file(number).read(row), "fails its checksum"
        except OSError as error:
            content, cause = None, f"cannot be read ({error.strerror})"
        if content is None:
            raise RadiographError(
                filename,
                f"its record in {part_name(number)}.bin of cache '{self.path}' {cause}",
                f"run: python -m monai_lamps.data verify {shlex.quote(self.path)} --repair; then: {self._command}",
            )
        if row["itemsize"] == 0:
            raise RadiographError(
                filename,
                f"could not be read when cache '{self.path}' was made ({rejection(content)[1]})",
                f"mend it, delete {part_name(number)}.npy there, and run: {self._command}",
            )
        height, width, itemsize = int(row["height"]), int(row["width"]), int(row["itemsize"])
        pixels = decode_pixels(content, height, width, itemsize)
        meta = {"format": "cache", "bits": 8 * itemsize, "photometric": "grey", "height": height, "width": width}
        return pixels, meta

    def missing(self, filenames: Iterable[str | os.PathLike[str]]) -> list[str]:
        """Those of many files that are not in the cache, without reading any; a million take some seconds.

        Args:
            filenames: where the images lie or lay. An image that could not be read when the cache was made is in it.
        """
        names, absent = (os.fspath(name) for name in filenames), []
        while chunk := list(islice(names, _CHUNK)):
            digests = np.frombuffer(b"".join(self._digest(name) for name in chunk), dtype=self._digests.dtype)
            places = np.searchsorted(self._digests, digests).clip(max=len(self) - 1)
            absent += [chunk[place] for place in np.flatnonzero(self._digests[places] != digests)]
        return absent

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "base": self.base}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], state["base"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, base={self.base!r})"

    @property
    def _command(self) -> str:
        return cache_command(self.path, self.description.made_by)

    def _digest(self, filename: str) -> bytes:
        """Of the name of a file; a file that lies neither below the cache nor below its base has none that is known."""
        filename = os.path.abspath(filename)
        name = name_below(filename, self.path) or name_below(filename, self.base)
        return name_digest(name if name is not None else filename)

    def _find(self, filename: str) -> int | None:
        digest = np.frombuffer(self._digest(filename), dtype=self._digests.dtype)
        place = int(np.searchsorted(self._digests, digest)[0])
        return place if place < len(self) and self._digests[place] == digest[0] else None
