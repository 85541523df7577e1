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

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

Work = Callable[[int], None]


def _rank(rank: int, folder: Path, work: Work) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    work(rank)
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture
def on_two_ranks(tmp_path: Path) -> Callable[[Work], None]:
    """Calls a function with its rank in each of two processes that know each other (gloo, CPU, forward passes only)."""

    def run(work: Work) -> None:
        context = multiprocessing.get_context("fork")
        ranks = [context.Process(target=_rank, args=(rank, tmp_path, work)) for rank in range(2)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(60)
        assert [process.exitcode for process in ranks] == [0, 0]

    return run
