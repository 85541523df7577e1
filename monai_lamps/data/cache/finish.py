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
"""What follows when no part is missing any more: the list of rejected images, and the datalist without them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from monai_lamps.data.cache.layout import REJECTED, CacheDescription, CacheError, name_digest
from monai_lamps.data.cache.names import drop_rejected
from monai_lamps.data.cache.part import part_problem, rejected_images
from monai_lamps.data.rejects import RejectLog

__all__ = ["finish_cache", "missing_parts", "rejected_so_far"]

_LEFT_SECONDS = 3600


def missing_parts(folder: str | Path, description: CacheDescription) -> dict[int, str]:
    """Numbers of the parts that are not there or damaged, each with what is wrong (pixels are not read)."""
    problems = ((number, part_problem(folder, number, description)) for number in range(description.parts))
    return {number: problem for number, problem in problems if problem}


def rejected_so_far(folder: str | Path, description: CacheDescription) -> dict[int, list[tuple[str, str]]]:
    """Name and reason of the images that could not be read, for every part that is there, by its number."""
    found = {}
    for number in range(description.parts):
        try:
            found[number] = rejected_images(folder, number, description)
        except CacheError:  # missing or damaged: it is made anew
            continue
    return found


def finish_cache(folder: str | Path, description: CacheDescription) -> bool:
    """Write ``rejected.csv`` and take the rejected images out of the cache's datalist, once all parts are there.

    It gives the same files however often it is done, and whoever has made the parts; files that are right already are
    not touched.

    Returns:
        whether all parts are there.

    Raises:
        CacheError: when the cache's datalist is missing or damaged.
    """
    rejected = rejected_so_far(folder, description)
    if len(rejected) < description.parts:
        return False
    rows = [row for number in sorted(rejected) for row in rejected[number]]
    log = RejectLog(Path(folder) / REJECTED)
    entries = [(os.path.join(description.base, *name.split("/")), reason) for name, reason in rows]
    if log.rows() != entries or not log.path.exists():
        log.replace(entries)
    drop_rejected(folder, {name_digest(name) for name, _ in rows})
    for left in Path(folder).glob(".*.json.*.tmp"):  # by a build that was killed; another shard's are younger
        if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
            left.unlink(missing_ok=True)
    return True
