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
"""How much faster a pretraining step is with several gloo processes than with one, at equal global batch and cores.

Each of N processes has its share of cores and of the batch; one process has all the cores, or for comparison as many as
one of the N. All objectives of Lamps are trained in turn (``step``), as in training, and all at once (``joint``), where
nothing is idle, so that the price of DistributedDataParallel's search for unused parameters can be told apart. The
teams take turns, so that a change of the machine's load meets all of them; a process with several threads suffers most
from other work on the machine, so run this on a quiet one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from measure import compare, machine, median, table
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import default_collate

from monai_lamps.engines import PerParameterClip, Progress
from monai_lamps.methods import Lamps
from monai_lamps.methods.lamps import LampsGeometry, RandLampsGeometryd, lamps_curriculum
from monai_lamps.networks import build_encoder

#: DistributedDataParallel as multi_gpu_train.json has it
BUNDLE = {"find_unused_parameters": True, "gradient_as_bucket_view": True}


@dataclass(frozen=True)
class Work:
    """One team's task."""

    processes: int
    threads: int
    batch: int
    curriculum: str
    wrapper: dict[str, Any] = field(default_factory=lambda: dict(BUNDLE))


def trainer_step(work: Work, rank: int) -> Any:
    """A function that takes one optimizer step of a small Lamps on this process's share of the batch."""
    torch.manual_seed(0)
    encoder = build_encoder(
        "swin_tiny", patch_size=16, embed_dim=96, depths=[4], num_heads=[4], window_size=3, drop_path=0.0
    )
    geometry = LampsGeometry(encoder.cell, region=8, view=6, window=5)
    method = Lamps(encoder, geometry, lamps_curriculum(work.curriculum), decoder_depth=2, decoder_heads=4)
    network = method if work.processes == 1 else DistributedDataParallel(method, **work.wrapper)
    optimizer = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=1e-4)
    draw = RandLampsGeometryd("image", geometry)
    draw.set_random_state(rank)
    share = work.batch // work.processes
    items: list[dict[Any, Any]] = [
        {"image": torch.rand(1, *[geometry.region_size] * 2), "seed": 7 * rank + n} for n in range(share)
    ]
    batch = default_collate([draw(item) for item in items])
    clip = PerParameterClip(0.8)

    def step(number: int) -> None:
        progress = Progress.at(number, 10**6, 2)
        optimizer.zero_grad(set_to_none=True)
        sum(network(batch, progress).values()).backward()
        clip(method.parameters())
        optimizer.step()
        method.after_step(progress)

    return step


def member(rank: int, work: Work, folder: str, orders: Connection) -> None:
    """One process of a team: takes as many steps as it is told, until it is told 0."""
    torch.set_num_threads(work.threads)
    if work.processes > 1:
        meeting = f"file://{folder}/meeting"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=work.processes)
    step, done = trainer_step(work, rank), 0
    while count := orders.recv():
        for number in range(done, done + count):
            step(number)
        done += count
        orders.send(done)
    if work.processes > 1:
        dist.destroy_process_group()


class Team:
    """Processes that train together and wait in between."""

    def __init__(self, work: Work, folder: Path) -> None:
        folder.mkdir()
        context = mp.get_context("fork")
        pipes = [context.Pipe() for _ in range(work.processes)]
        self.orders = [ours for ours, _ in pipes]
        self.members = [
            context.Process(target=member, args=(rank, work, str(folder), theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.members:
            process.start()
        for _, theirs in pipes:  # so that a process that has failed is noticed, not waited for
            theirs.close()

    def run(self, steps: int) -> None:
        """Take some steps."""
        for pipe in self.orders:
            pipe.send(steps)
        for pipe in self.orders:
            pipe.recv()

    def stop(self) -> None:
        """End the processes."""
        for pipe in self.orders:
            pipe.send(0)
        for process in self.members:
            process.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2, help="processes of a team (default 2)")
    parser.add_argument("--batch", type=int, default=16, help="images of a step over all processes (default 16)")
    parser.add_argument("--steps", type=int, default=3, help="steps of a turn, a multiple of 3 (default 3)")
    parser.add_argument("--repeats", type=int, default=5, help="turns that count (default 5)")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    together = {"processes": options.processes, "threads": max(cores // options.processes, 1), "batch": options.batch}
    alone = {"processes": 1, "threads": cores, "batch": options.batch}
    name = f"{options.processes} processes"
    works = {
        ("step", "1 process"): Work(**alone, curriculum="step"),
        ("step", "1 process with fewer threads"): Work(**{**together, "processes": 1}, curriculum="step"),
        ("step", name): Work(**together, curriculum="step"),
        ("joint", name): Work(**together, curriculum="joint"),
        ("joint", f"{name}, unused parameters not searched"): Work(
            **together, curriculum="joint", wrapper={**BUNDLE, "find_unused_parameters": False}
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        teams = {key: Team(work, Path(folder) / str(number)) for number, (key, work) in enumerate(works.items())}
        actions = {" / ".join(key): (lambda team=team: team.run(options.steps)) for key, team in teams.items()}
        seconds = compare(actions, options.repeats)
        for team in teams.values():
            team.stop()
    rows, first = [], {curriculum: seconds[f"{curriculum} / {label}"] for curriculum, label in reversed(works)}
    for (curriculum, label), work in works.items():
        took = seconds[f"{curriculum} / {label}"]
        rates = [options.steps * options.batch / value for value in took]
        ratios = [one / value for one, value in zip(first[curriculum], took)]
        spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
        rows.append([curriculum, label, work.threads, median(rates), median(ratios), spread])
    print(machine())
    print(f"Lamps, one-stage Swin of width 96, views of 96 px, batch {options.batch} over all processes, float32\n")
    header = ["curriculum", "processes", "threads each", "images/s", "times the first row", "in all turns"]
    print(table(rows, header))


if __name__ == "__main__":
    main()
