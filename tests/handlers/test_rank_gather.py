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
from toy_task import items, loader, segmentation

from monai_lamps.handlers.rank_gather import gather_in_turn
from monai_lamps.handlers.task_validator import TaskValidator

Work = Callable[[int], None]


def _rank(rank: int, folder: Path, work: Work) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    work(rank)
    dist.destroy_process_group()


def on_two_ranks(folder: Path, work: Work) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_rank, args=(rank, folder, work)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]


def test_one_process_looks_at_everything() -> None:
    assert gather_in_turn(lambda rank, world: [rank, world]) == [0, 1]


@pytest.mark.parametrize("count", [5, 4, 1, 0])
def test_answers_come_back_in_the_order_of_the_loader(tmp_path: Path, count: int) -> None:
    def work(rank: int) -> None:
        assert gather_in_turn(lambda rank, world: list(range(count))[rank::world]) == list(range(count))

    on_two_ranks(tmp_path, work)


def test_what_fails_on_one_rank_is_heard_of_on_the_other(tmp_path: Path) -> None:
    def look(rank: int, world: int) -> list[int]:
        if rank == 1:
            raise OSError("image 3 cannot be read")
        return [0]

    def work(rank: int) -> None:
        expected = (OSError, "^image 3") if rank else (RuntimeError, "the look failed on rank 1: OSError: image 3")
        with pytest.raises(expected[0], match=expected[1]):
            gather_in_turn(look, "look")
        dist.barrier()

    on_two_ranks(tmp_path, work)


@pytest.mark.parametrize("count", [5, 1])
def test_two_ranks_judge_as_one_would(tmp_path: Path, count: int) -> None:
    alone = TaskValidator(loader(items(count), batch_size=2), "dice")
    expected = alone.measure(segmentation())

    def work(rank: int) -> None:
        validator = TaskValidator(loader(items(count), batch_size=2), "dice")
        figures = validator.measure(segmentation())
        assert figures == pytest.approx(expected, nan_ok=True, rel=1e-6)
        assert [row["index"] for row in validator.cases] == list(range(count))
        both: list[dict[str, float]] = [{}, {}]
        dist.all_gather_object(both, figures)
        assert str(both[0]) == str(both[1])

    on_two_ranks(tmp_path, work)
