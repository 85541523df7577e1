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
"""The folder that a cache is built in: whose it is, who builds in it, and what to do when the disk is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from monai_lamps.data.cache.layout import (
    DATALIST,
    DESCRIPTION,
    IMAGES_PER_PART,
    CacheDescription,
    CacheError,
)

try:
    import fcntl
except ImportError:  # Windows has none: two builds of one shard are then not kept apart
    fcntl = None  # type: ignore[assignment]

__all__ = ["building_alone", "disk_full_explained", "prepare_folder"]

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def prepare_folder(
    out: Path, datalist: str | Path, wanted: CacheDescription, images_per_part: int | None = None
) -> CacheDescription:
    """Make a cache's folder and its description, or check that a begun one is what is wanted.

    Args:
        out: the folder.
        datalist: the datalist that is cached, to refuse the cache's own.
        wanted: what the build is to make.
        images_per_part: at most this many images a part; None for what the cache was begun with, else 1024.

    Returns:
        the description, as it is in the folder now.

    Raises:
        CacheError: when the folder holds something else, or a cache of other images or settings.
    """
    if (out / DATALIST).exists() and (out / DATALIST).samefile(datalist):
        raise CacheError(f"'{datalist}' is the cache's own datalist; give the one that the cache was made from.")
    if not (out / DESCRIPTION).exists():
        _check_unused(out)
        description = replace(wanted, images_per_part=images_per_part or IMAGES_PER_PART)
    else:
        begun = CacheDescription.read(out)
        description = replace(wanted, images_per_part=images_per_part or begun.images_per_part)
        if differences := begun.differences(description):
            raise CacheError(
                f"'{out}' holds a cache with {', '.join(differences)}; give another --out, the same datalist and "
                f"settings to go on with it, or delete it."
            )
        if begun == description:
            return begun
    out.mkdir(parents=True, exist_ok=True)
    description.write(out)
    return description


def _check_unused(out: Path) -> None:
    """A folder without a description must be empty, or hold the parts of a cache that has lost it."""
    others = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.exists() else []
    if others and not any(name.startswith("part-") for name in others):
        raise CacheError(
            f"'{out}' holds other files, such as '{others[0]}', and would be mixed with them; "
            "give --out a new or an empty folder."
        )


@contextmanager
def building_alone(out: Path, shard: tuple[int, int]) -> Iterator[None]:
    """Keep a second build of the same shard out of the folder.

    Raises:
        CacheError: when one is under way.
    """
    path = out / f".shard-{shard[0]}-of-{shard[1]}.lock"
    with open(path, "w") as handle:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CacheError(
                    f"another process is building shard {shard[0]}/{shard[1]} of '{out}'; wait for it or stop it."
                ) from None
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(path)


@contextmanager
def disk_full_explained(out: Path) -> Iterator[None]:
    """Say of a full disk what stays, how much is missing, and how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise OSError(
            error.errno,
            f"the disk of '{out}' is full. {_what_is_there(out)}; nothing half-written stays. Free space and run the "
            f"same command again to go on, or delete '{out}' and give a smaller --size, --dtype uint8 or another --out",
        ) from error


def _what_is_there(out: Path) -> str:
    sizes = [path.with_suffix(".bin").stat().st_size for path in out.glob("part-*.npy")]
    try:
        parts = CacheDescription.read(out).parts
    except (OSError, ValueError):
        return "No part is written yet"
    if not sizes:
        return f"None of {parts} parts is written yet"
    missing = (parts - len(sizes)) * sum(sizes) / len(sizes)
    return f"{len(sizes)} of {parts} parts are written and stay, the others take about {missing / 1e6:,.1f} MB"
