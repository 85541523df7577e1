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
"""Read a whole cache and say what is damaged."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from monai_lamps.data.cache.array_cache import ArrayCache
from monai_lamps.data.cache.finish import finish_cache
from monai_lamps.data.cache.layout import DATALIST, CacheDescription, CacheError, part_name
from monai_lamps.data.cache.part import PartFile, read_table
from monai_lamps.data.datalist import SECTIONS, load_datalist
from monai_lamps.data.progress_bar import progress_bar

__all__ = ["verify_cache"]

logger = logging.getLogger(__name__)


def verify_cache(
    path: str | Path, repair: bool = False, workers: int | None = None, progress: bool = True
) -> dict[str, str]:
    """Read every record of a cache and compare its checksum; finish a cache that was put together of shards.

    Args:
        path: folder of the cache.
        repair: delete what is damaged, so that the command that made the cache makes it anew.
        workers: threads; all cores by default.
        progress: tell how far it is, see :func:`~monai_lamps.data.progress_bar.progress_bar`.

    Returns:
        what is damaged or missing, by the name of the part or file, with what is wrong; empty for a sound cache.

    Raises:
        FileNotFoundError: when there is no cache.
        CacheError: when its description is damaged or of another version.
    """
    folder, description = Path(path), CacheDescription.read(path)
    workers = max((os.cpu_count() or 1) if workers is None else workers, 1)
    damage: dict[str, str] = {}
    with (
        ThreadPoolExecutor(workers) as pool,
        progress_bar(description.parts, "verifying", "part", logger, shown=progress) as bar,
    ):
        numbers = range(description.parts)
        for number, problem in zip(numbers, pool.map(lambda n: _damage_of(folder, n, description), numbers)):
            if problem:
                damage[part_name(number)] = problem
            bar.update()
    if repair:
        for name in damage:
            for suffix in (".npy", ".bin"):  # the table first: without it the part does not exist
                (folder / name).with_suffix(suffix).unlink(missing_ok=True)
    if not damage and (problem := _datalist_damage(folder, description)):
        damage[DATALIST] = problem
        if repair:
            (folder / DATALIST).unlink(missing_ok=True)
    return damage


def _damage_of(folder: Path, number: int, description: CacheDescription) -> str | None:
    """What is wrong with a part, ``None`` for a sound one."""
    try:
        table = read_table(folder, number, description)
        file = PartFile((folder / part_name(number)).with_suffix(".bin"))
        bad = sum(file.read(row) is None for row in table)
    except CacheError as error:
        return str(error)
    except OSError as error:
        return f"{part_name(number)}.bin cannot be read ({error.strerror})"
    return f"{bad} of {len(table)} records of {part_name(number)}.bin fail their checksum" if bad else None


def _datalist_damage(folder: Path, description: CacheDescription) -> str | None:
    """What is wrong with the datalist of a cache whose parts are sound; it is finished if it is not yet."""
    try:
        finish_cache(folder, description)
        cache = ArrayCache(folder)
        absent = [
            name
            for section in SECTIONS
            for name in cache.missing(item["image"] for item in load_datalist(folder / DATALIST, section))
        ]
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return f"{DATALIST} names {len(absent)} images that are not in the cache, such as '{absent[0]}'" if absent else None
