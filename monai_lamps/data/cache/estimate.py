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
"""What a cache will take, before it is built."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy.typing as npt

__all__ = ["announce_build"]

_SAMPLES = 8

logger = logging.getLogger(__name__)


def announce_build(
    out: Path, encode: Callable[[str], npt.NDArray | str], paths: Sequence[str], parts: int, workers: int
) -> int:
    """Estimate size and time from a few images spread over the list, and log them.

    Args:
        out: folder of the cache.
        encode: from a path to pixels, or the reason why there are none.
        paths: images that have to be cached; at least one.
        parts: parts that they make.
        workers: processes that will share the work.

    Returns:
        the estimated bytes; 0 when no sample could be read.

    Raises:
        OSError: when the disk has not that much space.
    """
    chosen = {round(k * (len(paths) - 1) / max(_SAMPLES - 1, 1)) for k in range(_SAMPLES)}
    encode(paths[0])  # loads decoders, so that the first sample is like the others
    start = time.perf_counter()
    sizes = [image.nbytes for k in sorted(chosen) if not isinstance(image := encode(paths[k]), str)]
    seconds = (time.perf_counter() - start) / len(chosen)
    work = f"{len(paths)} images in {parts} part{'s' if parts > 1 else ''} of '{out}' are to be made"
    if not sizes:
        logger.info(f"{work}; none of {len(chosen)} samples could be read, so there is no estimate.")
        return 0
    total = round(sum(sizes) / len(sizes) * len(paths))
    free = shutil.disk_usage(out).free
    duration = _duration(seconds * len(paths) / max(workers, 1))
    logger.info(
        f"{work}: about {_bytes(total)} and {duration} with {max(workers, 1)} process"
        f"{'es' if workers > 1 else ''}; {_bytes(free)} are free."
    )
    if total > free:
        raise OSError(
            f"the cache '{out}' needs about {_bytes(total)} more, but only {_bytes(free)} are free: about "
            f"{_bytes(total - free)} are missing. Free space, or give another --out, a smaller --size or --dtype uint8"
        )
    return total


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
