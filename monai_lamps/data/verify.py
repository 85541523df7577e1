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
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_lamps.data.radiograph import NoPixelDataError, RadiographError, read_radiograph

__all__ = ["verify_file", "verify_files"]

_CHUNK = 16  # files that one process verifies at a time

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
        workers: processes; all cores by default, 0 or 1 for this process alone.
        progress: show a progress bar.

    Returns:
        pairs of path and what :func:`verify_file` says, in the order of the paths.
    """
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(paths))
    with tqdm(total=len(paths), desc="verifying", unit="image", disable=not progress) as bar:
        if workers < 2:
            return [(path, _step(bar, verify_file(path))) for path in paths]
        chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
        done: dict[int, list[dict[str, Any]]] = {}
        while len(done) < len(chunks):
            lost = _verify_chunks(chunks, done, workers, bar)
            for number in lost[: 2 * workers + 1]:  # what was under way when a process ended is among these
                done[number] = _verify_alone(chunks[number])
                bar.update(len(chunks[number]))
    return list(zip(paths, (result for number in range(len(chunks)) for result in done[number])))


def _verify_chunks(
    chunks: Sequence[Sequence[Path]], done: dict[int, list[dict[str, Any]]], workers: int, bar: Any
) -> list[int]:
    """Verify what is not done, in one pool, into ``done``; returns what was lost because a process ended."""
    waiting = [number for number in range(len(chunks)) if number not in done]
    lost: list[int] = []
    with _pool(min(workers, len(waiting))) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenExecutor as error:  # e.g. a script without the __main__ guard
            logger.warning(f"no further processes can be started ({error}); verifying in this one.")
            done.update((number, [_step(bar, verify_file(path)) for path in chunks[number]]) for number in waiting)
            return []
        futures = [pool.submit(_verify_chunk, chunks[number]) for number in waiting]
        try:
            for number, future in zip(waiting, futures):
                try:
                    done[number] = future.result()
                    bar.update(len(chunks[number]))
                except Exception as error:  # a process died: a decoder crashed, memory ran out
                    if not lost:
                        logger.warning(f"a verifying process ended ({error}); looking for the file that did it.")
                    lost.append(number)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return lost


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=context)


def _step(bar: Any, result: dict[str, Any]) -> dict[str, Any]:
    bar.update()
    return result


def _verify_chunk(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [verify_file(path) for path in paths]


def _verify_alone(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Verify files in a process of their own; if it ends, each file in one of its own."""
    with _pool(1) as pool:
        try:
            return pool.submit(_verify_chunk, paths).result()
        except Exception as error:
            if len(paths) == 1:
                return [{"reason": f"reading it ended the process ({error}); remove it"}]
    return [result for path in paths for result in _verify_alone([path])]
