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
"""Reading many files in many processes to see which are sound radiographs."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.processes import map_in_processes
from monai_lamps.data.progress_bar import progress_bar
from monai_lamps.data.radiograph import NoPixelDataError, RadiographError, read_radiograph

__all__ = ["verify_file", "verify_files"]

_CHUNK = 16  # files that one process gets at a time
_WORTH = 1 << 25  # bytes of files that are worth the start of a process, which takes as long as reading them

logger = logging.getLogger(__name__)


def verify_file(path: str | Path) -> dict[str, Any]:
    """Read one file as training will, and say what it is.

    Returns:
        ``width``, ``height``, ``format``, ``sha256`` of the pixels and, where known, ``patient``; or ``reason``, and
        ``skipped`` for sound files that hold no image.
    """
    try:
        pixels, meta = read_radiograph(path)
    except NoPixelDataError as error:
        return {"reason": error.reason, "skipped": True}
    except RadiographError as error:
        return {"reason": error.reason}
    except MemoryError:
        return {"reason": "does not fit into memory; its header may be damaged, else use a smaller copy"}
    digest = hashlib.sha256(pixels.tobytes())
    digest.update(repr(pixels.shape).encode())
    facts = {"width": meta["width"], "height": meta["height"], "format": meta["format"], "sha256": digest.hexdigest()}
    return {**facts, "patient": str(meta["patient"])} if meta.get("patient") else facts


def verify_files(
    paths: Sequence[Path], workers: int | None = None, progress: bool = True
) -> list[tuple[Path, dict[str, Any]]]:
    """Verify in parallel; a file that kills its process is found and named instead of ending the run.

    Args:
        paths: the files.
        workers: processes at most; all cores by default, 0 or 1 for this process alone. Few files get fewer.
        progress: tell how far it is, see :func:`~monai_lamps.data.progress_bar.progress_bar`.

    Returns:
        pairs of path and what :func:`verify_file` says, in the order of the paths.
    """
    workers = _worthwhile(paths, os.cpu_count() or 1 if workers is None else workers)
    results: list[dict[str, Any]] = []
    with progress_bar(len(paths), "verifying", "image", logger, shown=progress) as bar:
        if workers > 1:
            chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
            try:
                for answers in map_in_processes(verify_file, chunks, workers, _lost):
                    results += answers
                    bar.update(len(answers))
            except OSError as error:
                logger.warning(f"no further processes can be started ({error}); verifying in this one.")
        for path in paths[len(results) :]:
            results.append(verify_file(path))
            bar.update()
    return list(zip(paths, results))


def _worthwhile(paths: Sequence[Path], most: int) -> int:
    """How many processes, up to the most, have enough to read to be worth their start."""
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except OSError:  # verifying tells why
            continue
        if total >= most * _WORTH:
            return most
    return total // _WORTH


def _lost(path: Path, status: str) -> dict[str, Any]:
    logger.warning(f"reading {path} ended its process ({status}).")
    return {"reason": f"reading it ended the process ({status}); remove it"}
