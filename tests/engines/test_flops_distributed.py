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
"""Counting the arithmetic of steps in which two processes exchange their gradients (gloo, CPU)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
from toy_training import BATCH, STEPS, ToyMethod, build

from monai_lamps.engines.flops import StepFlops

WORLD = 2


def train(rank: int, folder: str) -> None:
    """One rank: train without and with the meter."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    result: dict = {}
    for name in ("plain", "metered"):
        method, meter = ToyMethod(), StepFlops(rate=lambda device, dtype: 1e9)
        network = DistributedDataParallel(method, find_unused_parameters=True)
        trainer = build(method=method, network=network, rank=rank, world_size=WORLD)
        if name == "metered":
            meter.attach(trainer)
        trainer.run()
        result[name] = [p.detach() for p in method.parameters()]
    torch.save({**result, "per_image": meter.per_image, "done": meter.done}, Path(folder) / f"rank{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_each_rank_counts_its_share_and_trains_bit_for_bit_as_without(tmp_path: Path, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, __file__, str(tmp_path)], check=True, timeout=240, env=environment)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(WORLD)]
    an_image = 2 * (4 * 6 + 6 * 3) + 3 * 2 * (4 * 6 + 6 * 3) - 2 * 4 * 6  # teacher and student
    for result in ranks:
        assert all(torch.equal(mine, other) for mine, other in zip(result["plain"], result["metered"], strict=True))
        assert set(result["per_image"].values()) == {an_image}
        assert result["done"] == STEPS * BATCH // WORLD * an_image


if __name__ == "__main__":
    torch.set_num_threads(1)
    mp.start_processes(train, args=(sys.argv[1],), nprocs=WORLD, start_method="fork")
