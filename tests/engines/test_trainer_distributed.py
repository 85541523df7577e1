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

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
from toy_training import STEPS, ToyMethod, build, stop_after

WORLD = 2
POISONED_STEP = 5


class Poisoned(ToyMethod):
    """Without dropout; on rank 1 the loss of one step is not finite, by its value alone."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.student[2].p = self.teacher[2].p = 0.0
        self.rank = rank

    def forward(self, batch, progress):
        terms = super().forward(batch, progress)
        if progress.step == POISONED_STEP and self.rank == 1:
            terms["match"] = terms["match"] + float("nan")
        return terms


def train(rank: int, folder: str) -> None:
    """One rank: train, once without and once with the poisoned step."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    result = {}
    for name, stop in (("clean", POISONED_STEP), ("poisoned", STEPS)):
        method = Poisoned(rank)
        network = DistributedDataParallel(method, find_unused_parameters=True)
        trainer = build(method=method, network=network, rank=rank, world_size=WORLD)
        assert trainer.method is method
        stop_after(trainer, stop)
        trainer.run()
        result[name] = {
            "weights": [p.detach() for p in method.parameters()],
            "indices": trainer.journal.indices,
            "skipped": trainer.guard.skipped,
            "rank": trainer.state.rank,
        }
    torch.save(result, Path(folder) / f"rank{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, root: Path) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    # a process of its own, because gloo and autograd do not stand a fork of one that has trained
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=240, env=environment)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(WORLD)]


def test_two_ranks_compute_what_one_process_computes(ranks: list[dict]) -> None:
    single = stop_after(build(method=Poisoned(0)), POISONED_STEP)
    single.run()
    for rank, result in enumerate(ranks):
        assert result["clean"]["rank"] == rank
        for mine, other in zip(result["clean"]["weights"], single.method.parameters()):
            torch.testing.assert_close(mine, other.detach(), rtol=1e-4, atol=1e-6)
    joined = [first + second for first, second in zip(*(result["clean"]["indices"] for result in ranks))]
    assert joined == single.journal.indices


def test_all_ranks_leave_out_an_update_that_is_not_finite_on_one(ranks: list[dict]) -> None:
    first, second = (result["poisoned"] for result in ranks)
    assert first["skipped"] == second["skipped"] == 1
    assert len(first["indices"]) == STEPS
    for mine, other in zip(first["weights"], second["weights"]):
        assert torch.equal(mine, other)
        assert mine.isfinite().all()


if __name__ == "__main__":
    torch.set_num_threads(1)
    mp.start_processes(train, args=(sys.argv[1],), nprocs=WORLD, start_method="fork")
