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
"""Hours and cost of pretraining Lamps (Swin-B, 448 px views) on many radiographs and GPUs: an estimate.

Measured here: FLOPs of a step (counted, mean of the three objectives), milliseconds of one core from the array cache to
a batch, bytes of a record, size of the gradients. Assumed, and to be given for your machine: the GPU's dense bf16 peak,
the share of it that a step reaches (35 % is this project's aim, 15 % what eager code commonly reaches; neither was
measured for this table), cores for a GPU, the network between processes, and the price of a GPU hour.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measure import machine, table
from monai.transforms import Compose
from PIL import Image
from plain_lamps import OBJECTIVES, batch_of, build, progress_of
from torch.utils.data import default_collate
from training_step import Step

from monai_lamps.data import ArrayCache, RadiographDataset, ThoraxPhantom, build_cache, save_datalist
from monai_lamps.engines import counting_flops
from monai_lamps.methods.lamps import LampsGeometry, RandLampsGeometryd
from monai_lamps.transforms import LoadRadiographd, RandGridRegiond

SETS = {"ChestX-ray14": 112_120, "a million radiographs": 1_000_000}


def main() -> None:
    """Measure what can be measured here, and print the table."""
    options = _options()
    print(machine())
    flops, gradient_bytes = _step()
    milliseconds, record_bytes = _loading(options.size)
    print(
        f"measured: {flops / 1e12:.2f} TFLOP an image (mean of the objectives); {milliseconds:.2f} ms of a core from "
        f"the cache to a batch; {record_bytes / 1e6:.2f} MB a record; {gradient_bytes / 1e6:.0f} MB of gradients\n"
        f"assumed: {options.peak:.0f} TFLOP/s peak, {options.cores} cores and {options.batch} images a GPU and step, "
        f"{options.network:.0f} GB/s between processes, {options.price} an hour and GPU, {options.epochs} epochs\n"
    )
    rows = []
    for (name, images), gpus, share in itertools.product(SETS.items(), (1, 8, 64), options.shares):
        compute = options.peak * 1e12 * share / flops  # images a second and GPU
        load = options.cores * 1000 / milliseconds
        exchange = 2 * gradient_bytes * (gpus - 1) / gpus / (options.network * 1e9)  # seconds a step, if not hidden
        limits = {"compute": compute, "loading": load, "network": options.batch / exchange if exchange else np.inf}
        bottleneck = min(limits, key=lambda key: limits[key])
        rate = limits[bottleneck] * gpus
        hours = images * options.epochs / rate / 3600
        price = hours * gpus * options.price
        cores = compute * milliseconds / 1000
        rows.append([name, gpus, f"{share:.0%}", rate, hours, price, bottleneck, cores, images * record_bytes / 1e9])
    header = ["images", "GPUs", "share of peak", "images/s", "hours", "cost", "bottleneck", "cores a GPU needs"]
    print(table(rows, [*header, "cache GB"]))


def _step() -> tuple[float, int]:
    """FLOPs of a step for an image, mean of the objectives, and bytes of the gradients that processes exchange."""
    step = Step(build("ours"), "bf16")
    batch = batch_of(step.method.geometry, 1, "cpu")
    total = 0
    for number in range(len(OBJECTIVES)):
        with counting_flops() as counter:
            step(batch, progress_of(number))
        total += counter.get_total_flops()
    return total / len(OBJECTIVES), sum(parameter.numel() for parameter in step.parameters) * 4


def _loading(size: int) -> tuple[float, float]:
    """Milliseconds of a core for an image, cache to batch, and bytes of its record."""
    torch.set_num_threads(1)
    geometry = LampsGeometry(32)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for index, sample in enumerate(ThoraxPhantom(8, size)):
            files.append(Path(folder) / f"{index}.png")
            Image.fromarray(np.rint(np.asarray(sample["image"])[0] * 255).astype(np.uint8)).save(files[-1])
        items = [{"image": str(file)} for file in files]
        save_datalist(Path(folder) / "datalist.json", {"training": items})
        path = build_cache(Path(folder) / "datalist.json", Path(folder) / "cache", size, progress=False)
        stored = sum(file.stat().st_size for file in Path(path).glob("*.bin")) / len(items)
        transforms = [
            LoadRadiographd("image", reader=ArrayCache(path).read),
            RandGridRegiond("image", geometry.cell, geometry.region),
            RandLampsGeometryd("image", geometry),
        ]
        dataset = RadiographDataset(items, Compose(transforms))
        seconds = []
        for epoch in range(20):
            start = time.perf_counter()
            default_collate([dataset[epoch, number] for number in range(len(items))])
            seconds.append((time.perf_counter() - start) / len(items))
    return float(np.median(seconds)) * 1e3, stored


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak", type=float, default=989.0, help="dense bf16 TFLOP/s of the GPU (H100, H200: 989)")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.15, 0.35], help="of the peak that a step reaches")
    parser.add_argument("--cores", type=int, default=8, help="CPU cores for a GPU's loader")
    parser.add_argument("--batch", type=int, default=16, help="images a GPU and step")
    parser.add_argument("--network", type=float, default=25.0, help="GB/s of the slowest link between processes")
    parser.add_argument("--price", type=float, default=3.0, help="of an hour of a GPU")
    parser.add_argument("--epochs", type=int, default=302, help="302 as published")
    parser.add_argument("--size", type=int, default=640, help="px of the cache")
    return parser.parse_args()


if __name__ == "__main__":
    main()
