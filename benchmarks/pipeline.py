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
"""From a radiograph to a batch, on one core, against the released Lamps transforms and against decoding alone."""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from measure import compare, machine, median, table
from monai.transforms import Compose
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.utils.data import default_collate

from monai_lamps.data import RadiographDataset, ThoraxPhantom, save_datalist
from monai_lamps.data.cache import ArrayCache, build_cache
from monai_lamps.data.intensity import scale_integers
from monai_lamps.methods import Lamps
from monai_lamps.methods.lamps import LampsCrops, RandLampsGeometryd
from monai_lamps.networks import build_encoder
from monai_lamps.transforms import LoadRadiographd, RandGridRegiond, overlap_index

try:
    from released_transforms import ReleasedTransforms
except ImportError as error:
    ReleasedTransforms = None  # type: ignore[assignment, misc]
    REASON = f'not measured: {error}; run: pip install "albumentations<1.4" opencv-python-headless'

SIDE = 1024  # px of the radiographs, as ChestX-ray14's
SMOOTH = 0.8  # px; makes a phantom as compressible as a radiograph: 0.3 bytes a pixel, most rows predicted by Paeth

RELEASED, SAME = "released transforms, all tensors", "ours, the same tensors"
CACHED, DEVICE = "ours, array cache to batch", "ours, the crops of a step, on this CPU"
DECODER, FILES = "Pillow, PNG decoder alone", "ours, PNG to batch"

#: what is measured, what it is compared with, and the goal: at most this share of its time
GOALS: dict[str, tuple[str, float | None]] = {
    SAME: (RELEASED, 1 / 4),
    CACHED: (RELEASED, 1 / 20),
    DEVICE: (RELEASED, None),
    FILES: (DECODER, 1.3),
}


def main() -> None:
    """Measure, and print a table."""
    options = _parse()
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(file).resolve() for file in options.png or ()] or _write_phantoms(Path(folder), options.images)
        print(
            f"{len(files)} PNG files, on average {np.mean([Path(file).stat().st_size for file in files]) / 1e3:.0f} kB"
        )
        actions = _actions([str(file) for file in files], Path(folder), options)
        seconds = compare(actions, options.repeats)
    print(f"milliseconds an image: median and range of {options.repeats} interleaved repeats over all images")
    print(table(_rows(seconds, len(files)), ["what", "ms", "min..max", "of the time of", "share", "goal", "met"]))
    print(
        f"'{CACHED}' is all that loader workers do in training: the region and where its crops lie. The device\n"
        f"slices and augments; '{DEVICE}' is the mean of the three objectives where that is a core."
    )
    if ReleasedTransforms is None:
        print(f"{RELEASED}: {REASON}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Milliseconds an image on one core of: (1) the data transforms of the released Lamps code, written "
        "anew, which make every tensor for every sample: two clean and two augmented views of 448 px, eight augmented "
        "quadrants, masks, overlap, permutation; (2) ours making the same; (3) ours as in training, from the array "
        f"cache to the collated batch; (4) ours from {SIDE} px PNG files without a cache, and Pillow decoding them. "
        "(1) and (2) begin with the decoded 8-bit image in memory.",
        epilog='(1) needs: pip install "albumentations<1.4" opencv-python-headless',
    )
    parser.add_argument("--images", type=int, default=8, help="synthetic radiographs (default: %(default)s)")
    parser.add_argument("--png", nargs="+", metavar="FILE", help="grey 8-bit PNG files instead of synthetic ones")
    parser.add_argument("--batch", type=int, default=4, help="images in a batch (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="rounds that count (default: %(default)s)")
    parser.add_argument("--cache-size", type=int, default=640, help="px of the cache (default: %(default)s)")
    return parser.parse_args()


def _write_phantoms(folder: Path, number: int) -> list[Path]:
    files = []
    for index, sample in enumerate(ThoraxPhantom(number, SIDE)):
        pixels = gaussian_filter(np.asarray(sample["image"])[0], SMOOTH).clip(0, 1)
        files.append(folder / f"{index}.png")
        Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(files[-1])
    return files


def _actions(files: Sequence[str], folder: Path, options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """What is timed; each goes over all images once."""
    method = Lamps(build_encoder("resnet18", in_channels=1))  # never run: for its geometry and augmentation
    pictures = [_decode(file) for file in files]
    items = [{"image": file} for file in files]
    save_datalist(folder / "datalist.json", {"training": items})
    cache = ArrayCache(build_cache(folder / "datalist.json", folder / "cache", options.cache_size, progress=False))
    memory = _Loader([{"image": picture[None]} for picture in pictures], method, options.batch, _scaled)
    cached = _Loader(items, method, options.batch, LoadRadiographd("image", reader=cache.read, track_meta=False))
    direct = _Loader(items, method, options.batch, LoadRadiographd("image", track_meta=False))
    batches = cached()
    actions: dict[str, Callable[[], object]] = {
        SAME: lambda: [_all_tensors(method.crops(batch), batch) for batch in memory()],
        CACHED: cached,
        DEVICE: lambda: [_crops_of_objectives(method, batch) for batch in batches],
        DECODER: lambda: [_decode(file) for file in files],
        FILES: direct,
    }
    if ReleasedTransforms is not None:
        released = ReleasedTransforms()
        actions[RELEASED] = lambda: [released(picture) for picture in pictures]
    return actions


class _Loader:
    """The transforms of training over all images, batch by batch, in this process; every pass is a new epoch."""

    def __init__(self, items: Sequence[Mapping[str, Any]], method: Lamps, batch: int, *first: Callable) -> None:
        geometry = method.geometry
        region = RandGridRegiond("image", geometry.cell, geometry.region)
        self.dataset = RadiographDataset(items, Compose([*first, region, RandLampsGeometryd("image", geometry)]))
        self.batch, self.epoch = batch, itertools.count()

    def __call__(self) -> list[dict[str, Tensor]]:
        epoch, numbers = next(self.epoch), range(len(self.dataset))
        samples = [numbers[start : start + self.batch] for start in range(0, len(numbers), self.batch)]
        return [default_collate([self.dataset[epoch, number] for number in some]) for some in samples]


def _scaled(item: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.float32]]:
    return {"image": scale_integers(item["image"], 8)[0]}


def _decode(file: str) -> npt.NDArray[np.uint8]:
    with Image.open(file) as image:
        return np.asarray(image)


def _all_tensors(crops: LampsCrops, batch: Mapping[str, Tensor]) -> list[Tensor]:
    """What the released transforms make of an image, of a batch."""
    a, b = batch["view_offset"].unbind(1)
    overlaps = [overlap_index(*pair, crops.geometry.view) for pair in ((a, b), (b, a))]
    return [crops.clean, crops.augmented, crops.quadrants, crops.hidden, crops.permutation, *overlaps]


def _crops_of_objectives(method: Lamps, batch: Mapping[str, Tensor]) -> list[list[Tensor]]:
    """What the device makes of a batch, once for each objective."""
    extrapolation, shuffle, hierarchy = (method.crops(batch) for _ in range(3))
    return [
        [extrapolation.clean, extrapolation.context, extrapolation.hidden],
        [shuffle.clean, shuffle.shuffled, shuffle.permutation],
        [hierarchy.clean, hierarchy.augmented, hierarchy.quadrants],
    ]


def _rows(seconds: Mapping[str, Sequence[float]], images: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for name in (RELEASED, SAME, CACHED, DEVICE, DECODER, FILES):
        if name not in seconds:
            continue
        objectives = 3 if name == DEVICE else 1
        low, middle, high = (1e3 * f(seconds[name]) / images / objectives for f in (min, median, max))
        row = [name, middle, f"{low:.3g}..{high:.3g}"]
        other, goal = GOALS.get(name, ("", None))
        if other in seconds:
            share = median([mine / theirs / objectives for mine, theirs in zip(seconds[name], seconds[other])])
            row += [other, f"{share:.3g} (1/{1 / share:.3g})" if share < 1 else f"{share:.3g}"]
            if goal is not None:
                row += [f"{goal:.3g}", "yes" if share <= goal else "no"]
        rows.append(row + [""] * (7 - len(row)))
    return rows


if __name__ == "__main__":
    main()
