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
"""Build an array cache: what is there is kept, what is missing is made, and nothing half-written stays."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import numpy.typing as npt
from tqdm import tqdm

from monai_lamps.data.cache.encode import READER, encode_image, encode_images
from monai_lamps.data.cache.estimate import announce_build
from monai_lamps.data.cache.finish import finish_cache, missing_parts, rejected_so_far
from monai_lamps.data.cache.folder import building_alone, disk_full_explained, prepare_folder
from monai_lamps.data.cache.layout import DTYPES, REJECTED, CacheDescription, name_digest
from monai_lamps.data.cache.names import ListedImages
from monai_lamps.data.cache.part import write_part
from monai_lamps.data.progress_bar import progress_bar
from monai_lamps.data.rejects import RejectLog

__all__ = ["build_cache"]

logger = logging.getLogger(__name__)


def build_cache(
    datalist: str | Path,
    out: str | Path,
    size: int = 640,
    *,
    base_dir: str | Path | None = None,
    shard: tuple[int, int] = (0, 1),
    workers: int | None = None,
    dtype: str = "auto",
    max_reject: float = 0.05,
    images_per_part: int | None = None,
    progress: bool = True,
) -> Path:
    """Read every radiograph of a datalist once, reduce it, and keep its pixels in a folder for fast reading.

    The short side of an image is reduced to ``size`` px; a smaller one stays as it is. Size and time are estimated from
    a few images before it starts. A build that was interrupted goes on where it stopped, and damaged parts are made
    anew. Several machines may each make a share of the parts, into one folder or into folders that are copied together
    afterwards; the command without a shard then makes what is missing, if anything, and finishes. Radiographs only:
    volumes are not cached.

    An image that cannot be read is listed in ``CACHE/rejected.csv`` and left out of ``CACHE/datalist.json``.

    Args:
        datalist: MONAI datalist; the images of all its sections are cached, each once.
        out: folder of the cache: new, empty, or one that the same images and settings have begun.
        size: longest allowed short side, px, at least 32. Training needs its region and margin: 608 by default.
        base_dir: folder that relative paths in the datalist are relative to; its own folder by default.
        shard: (i, n) makes the parts i, i + n, i + 2n, ...; i counts from 0.
        workers: processes; all cores by default, 0 or 1 for this process alone.
        dtype: "auto" stores 8 bits where they lose nothing and 16 elsewhere; or "uint8" or "uint16".
        max_reject: largest tolerated share of images that cannot be read.
        images_per_part: at most this many images a part; by default as the cache was begun, or 1024.
        progress: tell how far it is, see :func:`~monai_lamps.data.progress_bar.progress_bar`.

    Returns:
        the folder of the cache.

    Raises:
        FileNotFoundError: when the datalist does not exist.
        CacheError: when the folder holds something else, a cache of other images or settings, or is being built.
        ValueError: for a bad setting, a bad datalist, or too many images that cannot be read.
        OSError: when the disk is full or cannot be written.
    """
    _check_settings(size, shard, dtype, max_reject)
    listed = ListedImages(datalist, base_dir)
    wanted = CacheDescription(
        size=size,
        dtype=dtype,
        images=len(listed.names),
        names_sha256=listed.names_sha256,
        reader=dict(READER),
        base=listed.base,
        made_by=_made_by(datalist, size, dtype, base_dir),
    )
    out = Path(out)
    with disk_full_explained(out):
        description = prepare_folder(out, datalist, wanted, images_per_part)
        with building_alone(out, shard):
            build = _Build(out, description, listed, range(shard[0], description.parts, shard[1]), max_reject)
            build.run((os.cpu_count() or 1) if workers is None else workers, progress)
            finished = finish_cache(out, description)
    _say_what_is_left(out, description, finished)
    return out


class _Build:
    """Makes those of some parts that are missing.

    Args:
        out: the folder.
        description: what it holds.
        listed: the images.
        numbers: the parts to see to.
        max_reject: largest tolerated share of their images that cannot be read.
    """

    def __init__(
        self, out: Path, description: CacheDescription, listed: ListedImages, numbers: range, max_reject: float
    ) -> None:
        self.out, self.description, self.listed, self.numbers = out, description, listed, numbers
        self.max_reject = max_reject
        self.total = sum(len(description.images_of(number)) for number in numbers)
        self.rejected: list[tuple[str, str]] = []

    def run(self, workers: int, progress: bool) -> None:
        """Make the missing parts."""
        known = rejected_so_far(self.out, self.description)
        missing = [number for number in self.numbers if number not in known]
        everywhere = [row for rows in known.values() for row in rows]
        self.listed.save(self.out, {name_digest(name) for name, _ in everywhere})
        for number in set(self.numbers) & set(known):
            self.rejected += [(self.listed.path(name), reason) for name, reason in known[number]]
        self._check_rejected()
        if missing:
            self._make(missing, workers, progress)

    def _make(self, missing: Sequence[int], workers: int, progress: bool) -> None:
        encode = partial(encode_image, size=self.description.size, dtype=self.description.dtype)
        paths = [self.listed.path(name) for number in missing for name in self._names(number)]
        workers = min(workers, len(paths))
        announce_build(self.out, encode, paths, len(missing), workers)
        with (
            closing(encode_images(encode, paths, workers)) as encoded,  # its processes end with this
            progress_bar(len(paths), "caching", "image", logger, shown=progress) as bar,
        ):
            images = self._watched(paths, encoded, bar)
            for number in missing:
                names = self._names(number)
                write_part(self.out, number, self.description, names, islice(images, len(names)))

    def _names(self, number: int) -> Sequence[str]:
        part = self.description.images_of(number)
        return self.listed.names[part.start : part.stop]

    def _watched(
        self, paths: Iterable[str], images: Iterable[npt.NDArray | str], bar: tqdm
    ) -> Iterator[npt.NDArray | str]:
        """The images as they come, while few enough of them cannot be read."""
        for path, image in zip(paths, images):
            if isinstance(image, str):
                self.rejected.append((path, image))
                self._check_rejected()
            bar.update()
            yield image

    def _check_rejected(self) -> None:
        if len(self.rejected) <= self.max_reject * self.total:
            return
        log = RejectLog(self.out / REJECTED)
        log.extend(self.rejected)
        examples = "; ".join(f"{file}: {reason}" for file, reason in self.rejected[:3])
        raise ValueError(
            f"{len(self.rejected)} of {self.total} images cannot be read, more than the allowed "
            f"{self.max_reject:.0%} (first: {examples}). '{log.path}' lists them: mend them or take them out of the "
            "datalist, or raise max_reject."
        )


def _check_settings(size: int, shard: tuple[int, int], dtype: str, max_reject: float) -> None:
    index, count = shard
    if size < READER["min_size"]:
        raise ValueError(f"size must be at least {READER['min_size']} px, got {size}; 640 suits the published views.")
    if not 0 <= index < count:
        raise ValueError(f"shard must be i/n with i from 0 to n - 1, got {index}/{count}; of two they are 0/2 and 1/2.")
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype '{dtype}', valid values are {', '.join(DTYPES)}.")
    if not 0 <= max_reject <= 1:
        raise ValueError(f"max_reject must be a share in [0, 1], got {max_reject}; 0.05 is 5 %.")


def _made_by(datalist: str | Path, size: int, dtype: str, base_dir: str | Path | None) -> str:
    """The command that makes this cache, without ``--out``: the folder may be moved."""
    command = ["python", "-m", "monai_lamps.data", "cache", os.path.abspath(datalist), "--size", str(size)]
    command += [] if dtype == "auto" else ["--dtype", dtype]
    command += [] if base_dir is None else ["--base", os.path.abspath(base_dir)]
    return shlex.join(command)


def _say_what_is_left(out: Path, description: CacheDescription, finished: bool) -> None:
    if finished:
        rejected = len(RejectLog(out / REJECTED))
        kept = description.images - rejected
        parts = "1 part" if description.parts == 1 else f"{description.parts} parts"
        logger.info(f"{kept} images in {parts}, {rejected} unreadable -> {out}")
        return
    missing = len(missing_parts(out, description))
    logger.info(
        f"{missing} of {description.parts} parts are left to other shards -> {out}. When all lie in one folder, run "
        "the command there once without --shard."
    )
