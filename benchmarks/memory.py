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
"""Peak memory of a training step of Lamps (Swin-B, 448 px views) against a plain formulation, for each objective.

The formulations are those of step.py; each runs in a process of its own. On a GPU the figure is what torch has
allocated at most, on a CPU the largest resident set of the process, with the allocator told to give memory back at
once. Ours is measured for each choice of ``recompute`` (what the backward pass computes again), with its time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import torch
from measure import machine, table
from plain_lamps import OBJECTIVES, batch_of, build, progress_of
from training_step import Step

from monai_lamps.handlers import peak_memory_gb

_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def main() -> None:
    """Measure every formulation in a process of its own and print the table."""
    options = _options()
    if options.measure:
        print(json.dumps(_measure(options, *options.measure)))
        return
    print(machine())
    print(f"{options.encoder}, {options.batch} image(s) of two views, {options.precision}\n")
    kinds = ["plain", "plain modules", *(f"ours, recompute {policy}" for policy in ("nothing", "between", "all"))]
    rows, means = [], []
    figures = {kind: [_run(kind, number) for number in range(len(OBJECTIVES))] for kind in kinds}
    for number, objective in enumerate(OBJECTIVES):
        plain, modules = figures["plain"][number], figures["plain modules"][number]
        for kind in kinds:
            gigabytes, seconds = figures[kind][number]
            rows.append([objective, kind, gigabytes, gigabytes / plain[0], gigabytes / modules[0], seconds])
    for kind in kinds:
        peak, seconds = max(pair[0] for pair in figures[kind]), sum(pair[1] for pair in figures[kind]) / 3
        whole, alone = (max(pair[0] for pair in figures[name]) for name in ("plain", "plain modules"))
        means.append(["greatest of the run", kind, peak, peak / whole, peak / alone, seconds])
    header = ["objective", "formulation", "peak GB", "of plain", "of plain modules", "s per step"]
    print(table([*rows, *means], header))


def _run(kind: str, objective: int) -> tuple[float, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--measure", kind, str(objective)]
    done = subprocess.run(command, env={**os.environ, **_ALLOCATOR}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind}, {OBJECTIVES[objective]}: {done.stderr[-2000:]}")
    gigabytes, seconds = json.loads(done.stdout.splitlines()[-1])
    return gigabytes, seconds


def _measure(options: argparse.Namespace, kind: str, objective: str) -> tuple[float, float]:
    name, _, policy = kind.partition(", recompute ")
    arguments = {**options.encoder_args, **({"recompute": policy} if policy else {})}
    method = build(name, options.encoder, arguments, **options.geometry).to(options.device)
    step = Step(method, options.precision)
    batch, progress = batch_of(method.geometry, options.batch, options.device), progress_of(int(objective))
    seconds = []
    for _ in range(2):  # the first makes the optimizer's state
        start = time.perf_counter()
        step(batch, progress)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return peak_memory_gb(), seconds[-1]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="swin_base")
    parser.add_argument("--encoder-args", type=json.loads, default={}, help="JSON")
    parser.add_argument("--geometry", type=json.loads, default={}, help="JSON: region, view, window in cells")
    parser.add_argument("--batch", type=int, default=1, help="images")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
