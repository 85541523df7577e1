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
"""What an image costs when there are a hundred times more of them: index, cache, start-up, epoch, a worker's memory.

Makes folders of small PNG files, all different, and takes each through what a training run does with it. Every figure
stands beside its ratio to that of the smallest folder: a cost per image that does not depend on the number of images
has the ratio 1. The items are kept as the bundles keep them (packed) and, for comparison, as a plain list. The private
memory of a loader worker (Linux only) is read after the first batch, in the middle and at the end of the first epoch,
and at the end of the second. Start-up is what comes between the imports and the first batch: the datalist of a folder
that has been indexed, its items, the dataset, the opened cache, the worker.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, median, table
from monai.data import set_track_meta
from PIL import Image
from torch.utils.data import DataLoader

from monai_lamps.bundle import radiograph_datalist
from monai_lamps.data import PackedItems, RadiographDataset, ResumableBatchSampler, index_folder, load_datalist
from monai_lamps.data.cache import ArrayCache, build_cache
from monai_lamps.transforms import LoadRadiographd

KEEPS: dict[str, Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]] = {"packed": PackedItems, "list": list}
BATCH = 50
MOMENTS = ("start", "middle", "end", "next end")


def make_films(folder: Path, number: int, pixels: int) -> Path:
    """Write PNG files of noise that differ in four bytes, a thousand to a subfolder."""
    noise = np.random.default_rng(0).integers(0, 256, (pixels, pixels), dtype=np.uint8)
    for index in range(number):
        file = folder / f"{index // 1000:03d}" / f"{index:07d}.png"
        if index % 1000 == 0:
            file.parent.mkdir(parents=True)
        noise[0, :4] = np.frombuffer(np.uint32(index).tobytes(), np.uint8)
        Image.fromarray(noise).save(file, compress_level=1)
    return folder


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def private_megabytes(process: int) -> float:
    """Memory that a process shares with no other; not a number where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return float("nan")
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def add_process(item: dict[str, Any]) -> dict[str, Any]:
    """Note which process made the sample."""
    return {**item, "process": os.getpid()}


class Run:
    """A loader as a training run has it, with one worker, over two epochs."""

    def __init__(self, films: Path, out: Path, cache: Path, keep: str) -> None:
        start = time.perf_counter()
        datalist = radiograph_datalist(films, "", out, validation=0.0)
        items = KEEPS[keep](load_datalist(datalist))
        transform = [LoadRadiographd("image", reader=ArrayCache(cache).read), add_process]
        self.sampler = ResumableBatchSampler(len(items), BATCH, total_epochs=2)
        dataset = RadiographDataset(items, transform)
        loader: Any = DataLoader(dataset, batch_sampler=self.sampler, num_workers=1)
        self.batches: Iterator[dict[str, Any]] = iter(loader)
        self.worker = int(next(self.batches)["process"][0])
        self.startup = time.perf_counter() - start

    def epochs(self) -> tuple[float, list[float]]:
        """Milliseconds an image of the first epoch, and the worker's private megabytes at each of `MOMENTS`."""
        memory = [private_megabytes(self.worker)]
        steps, start, taken = self.sampler.steps_per_epoch, time.perf_counter(), 0.0
        for step, _ in enumerate(self.batches, start=2):
            if step in (steps // 2, steps, 2 * steps):
                memory.append(private_megabytes(self.worker))
            if step == steps:
                taken = time.perf_counter() - start
        return 1e3 * taken / (BATCH * (steps - 1)), memory


def measure(folder: Path, number: int, options: argparse.Namespace) -> dict[str, float]:
    """All figures for one number of images."""
    films = make_films(folder / "films", number, options.pixels)
    turns = range(max(1, min(options.repeats, 10_000 // number)))
    index = [
        seconds(
            lambda turn=turn: index_folder(films, folder / f"index{turn}", validation=0.0, workers=0, progress=False)
        )
        for turn in turns
    ]
    datalist = folder / "index0" / "datalist.json"
    cache = [
        seconds(
            lambda turn=turn: build_cache(datalist, folder / f"cache{turn}", options.size, workers=0, progress=False)
        )
        for turn in turns
    ]
    stored = sum(file.stat().st_size for file in (folder / "cache0").rglob("*") if file.is_file())
    figures = {
        "index, ms/image": 1e3 * median(index) / number,
        "cache, ms/image": 1e3 * median(cache) / number,
        "cache, bytes/image": stored / number,
    }
    for keep in KEEPS:
        runs = []
        for _ in turns:
            run = Run(films, folder / "index0", folder / "cache0", keep)
            runs.append((run.startup, *run.epochs()))
        figures[f"start-up, s ({keep})"] = median([run[0] for run in runs])
        figures[f"epoch, ms/image ({keep})"] = median([run[1] for run in runs])
        for moment, *values in zip(MOMENTS, *(run[2] for run in runs)):
            figures[f"worker, MB, {moment} ({keep})"] = median(values)
    return figures


def import_seconds() -> float:
    """What starting Python and importing the packages takes, whatever the number of images."""
    program = "import torch, monai.bundle, monai_lamps.methods, monai_lamps.handlers"
    return seconds(lambda: subprocess.run([sys.executable, "-c", program], check=True, capture_output=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000], help="folders, smallest first")
    parser.add_argument("--full", action="store_true", help="a folder of 100000 besides (a quarter of an hour)")
    parser.add_argument("--pixels", type=int, default=48, help="side of the PNG files (default: 48)")
    parser.add_argument("--size", type=int, default=32, help="short side in the cache (default: 32)")
    parser.add_argument("--repeats", type=int, default=3, help="repeats for small folders; the median counts")
    parser.add_argument("--folder", help="where the files are made (default: the system's temporary folder)")
    options = parser.parse_args(arguments)
    numbers = [*options.images, *([100_000] if options.full else [])]
    set_track_meta(False)
    print(machine())
    print(f"imports: {import_seconds():.1f} s\n")
    figures = []
    for number in numbers:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            figures.append(measure(Path(folder), number, options))
    header = ["", f"{numbers[0]} images", *(text for n in numbers[1:] for text in (f"{n} images", "ratio"))]
    rows = [
        [name, first, *(value for other in figures[1:] for value in (other[name], other[name] / first))]
        for name, first in figures[0].items()
    ]
    print(table(rows, header))


if __name__ == "__main__":
    main()
