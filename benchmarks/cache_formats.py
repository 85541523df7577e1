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
"""Which format for the array cache: the same images written, read and damaged in each.

Synthetic radiographs (smooth, with noise) of 640 x 640 px, 8 bit. Measured: writing, size on disk, reading in an order
that is a function of (seed, epoch) and in sequence (one process, from the page cache), opening a cache of many tiny
records. Tried, not read in a manual: whether one flipped byte is noticed when everything is read; what is made again
after the writing process was killed at 60 percent and the same command is given once more, and whether the unfinished
cache is noticed when it is opened before; whether an epoch can be continued at any step in the order of this project's
sampler. A library that is not installed is left out, and the command that installs it is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from array_formats import FORMATS, Format, Pixels
from measure import compare, machine, median, table
from scipy.ndimage import zoom

from monai_lamps.data import ResumableBatchSampler

HEADER = [
    "format",
    "write s",
    "MB",
    "random ms",
    "times parts",
    "sequential ms",
    "open 1 k ms",
    "open many ms",
    "flipped byte",
    "after a kill: opened",
    "made again",
    "mid-epoch",
]


def radiographs(count: int, side: int) -> Callable[[int], Pixels]:
    """Images that compress as badly as radiographs do: smooth shapes under noise, each another."""
    generator = np.random.default_rng(0)
    smooth = [zoom(generator.uniform(30, 200, (9, 9)), side / 9, order=1)[:side, :side] for _ in range(16)]
    noise = generator.normal(0, 4, (side, side))
    images = [np.clip(smooth[i % 16] + np.roll(noise, 7919 * i), 0, 255).astype(np.uint8) for i in range(count)]
    return images.__getitem__


def tiny(index: int) -> Pixels:
    """A record of 64 bytes that knows its number."""
    return np.full((8, 8), index % 251, np.uint8)


def every(reader: Any) -> Iterable[Pixels]:
    """All images in sequence."""
    return (reader[i] for i in range(len(reader))) if hasattr(reader, "__getitem__") else iter(reader)


def read(images: Iterable[Pixels]) -> None:
    """Use each image a little."""
    for image in images:
        image[::64].sum()


def opening(form: Format, folder: Path) -> float:
    """Seconds to open and read the first image, the least of three times."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        next(iter(every(form.open(folder))))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def flipped_byte(form: Format, folder: Path, image: Callable[[int], Pixels]) -> str:
    """Flip a bit in the middle of the largest file, read everything, and say what came of it."""
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        file.seek(largest.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 64]))
    wrong = 0
    try:
        for index, pixels in enumerate(every(form.open(folder))):
            wrong += not np.array_equal(pixels, image(index))
    except Exception as error:
        return f"noticed ({type(error).__name__})"
    return f"not noticed, {wrong} wrong" if wrong else "not noticed"


def after_a_kill(form: Format, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> tuple[str, str]:
    """Kill a writer at 60 percent; open what it has left, then give the same command again.

    Returns:
        what opening said, and how many images had to be made again.
    """
    made = 0

    def dying(index: int) -> Pixels:
        if index >= 0.6 * count:
            os._exit(9)
        return image(index)

    def counting(index: int) -> Pixels:
        nonlocal made
        made += 1
        return image(index)

    child = os.fork()
    if child == 0:
        form.write(folder, dying, count, part)
        os._exit(0)
    os.waitpid(child, 0)
    try:
        found = sum(np.array_equal(pixels, image(index)) for index, pixels in enumerate(every(form.open(folder))))
        opened = f"{found} images, unnoticed"
    except Exception as error:
        opened = f"refused ({type(error).__name__})"
    try:
        form.write(folder, counting, count, part)
        reader = form.open(folder)
        good = sum(np.array_equal(pixels, image(index)) for index, pixels in enumerate(every(reader)))
        again = f"{made} of {count}" if good == count else f"{made} of {count}, but {count - good} wrong"
    except Exception as error:
        again = f"refused ({type(error).__name__}), all {count}"
    return opened, again


def mid_epoch(form: Format, folder: Path, image: Callable[[int], Pixels], count: int) -> str:
    """Whether the rest of an epoch is what the sampler says, without reading what lies before."""
    reader = form.open(folder)
    if not hasattr(reader, "__getitem__"):
        return "no"
    rest = ResumableBatchSampler(count, 1, seed=0, total_epochs=2).permutation(1).tolist()[count // 2 :][:50]
    return "exact" if all(np.array_equal(reader[i], image(i)) for i in rest) else "wrong"


class Case:
    """One format with its folders and figures."""

    def __init__(self, form: Format, folder: Path, image: Callable[[int], Pixels], options: argparse.Namespace) -> None:
        self.form, self.folder, self.image, self.options = form, folder, image, options
        start = time.perf_counter()
        form.write(folder / "full", image, options.images, options.part)
        self.write_seconds = time.perf_counter() - start
        self.bytes = sum(path.stat().st_size for path in (folder / "full").rglob("*") if path.is_file())
        self.reader = form.open(folder / "full")

    @property
    def random(self) -> bool:
        """Whether images can be read in any order."""
        return hasattr(self.reader, "__getitem__")

    def read_random(self) -> None:
        """Read everything in the order of an epoch."""
        order = ResumableBatchSampler(self.options.images, 1, seed=0).permutation(0).tolist()
        read(self.reader[i] for i in order)

    def read_sequence(self) -> None:
        """Read everything in sequence."""
        read(every(self.reader))

    def row(self, random: list[float] | None, sequence: list[float], parts: list[float]) -> list[object]:
        """The figures and what came of the trials."""
        count, part, form = self.options.images, self.options.part, self.form
        opened = []
        for name, records in (("thousand", 1000), ("many", self.options.records)):
            form.write(self.folder / name, tiny, records, 1024)
            opened.append(1e3 * opening(form, self.folder / name))
            shutil.rmtree(self.folder / name)
        middle = mid_epoch(form, self.folder / "full", self.image, count)
        noticed = flipped_byte(form, self.folder / "full", self.image)
        shutil.rmtree(self.folder / "full")
        kill_part = max(part // 8, 1)
        killed, again = after_a_kill(form, self.folder / "killed", self.image, min(count, 200), kill_part)
        per_image = [None if s is None else 1e3 * median(s) / count for s in (random, sequence)]
        ratio = "-" if random is None else median([own / ours for own, ours in zip(random, parts)])
        shown = ["no" if per_image[0] is None else per_image[0], ratio, per_image[1]]
        size = self.bytes / 1e6
        return [form.name, self.write_seconds, size, *shown, *opened, noticed, killed, again, middle]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="images (default 1000)")
    parser.add_argument("--side", type=int, default=640, help="their side in px (default 640)")
    parser.add_argument("--part", type=int, default=128, help="images of a file (default 128)")
    parser.add_argument("--records", type=int, default=100_000, help="tiny records to open (default 100000)")
    parser.add_argument("--repeats", type=int, default=3, help="readings that count (default 3)")
    parser.add_argument("--folder", help="where the caches are written for the time (default: the system's)")
    options = parser.parse_args()
    print(machine())
    image = radiographs(options.images, options.side)
    print(f"{options.images} images of {options.side} px, {options.images * image(0).nbytes / 1e6:.0f} MB of pixels\n")
    with tempfile.TemporaryDirectory(dir=options.folder) as base:
        cases: list[Case] = []
        for form in FORMATS:
            if not form.available:
                print(f"{form.name}: not installed (pip install --no-deps {form.install})")
                continue
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    cases.append(Case(form, Path(base) / type(form).__name__, image, options))
            except ImportError as error:
                print(f"{form.name}: cannot be imported ({error}); pip install --no-deps {form.install}")
        random = compare({c.form.name: c.read_random for c in cases if c.random}, options.repeats)
        sequence = compare({c.form.name: c.read_sequence for c in cases}, options.repeats)
        parts = random[FORMATS[0].name]
        rows = [c.row(random.get(c.form.name), sequence[c.form.name], parts) for c in cases]
    print(table(rows, [*HEADER[:7], f"open {options.records // 1000} k ms", *HEADER[8:]]))


if __name__ == "__main__":
    main()
