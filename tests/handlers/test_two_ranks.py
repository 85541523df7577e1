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
"""What two processes must agree about (gloo, CPU)."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from ignite.engine import Events

from monai_lamps.handlers import CheckpointHandler, ResumeHandler, TermMeansHandler, ThroughputHandler, list_checkpoints

Make = Callable[..., Any]


def _rank(rank: int, folder: Path, work: Callable[..., None], make: Make) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    work(rank, folder, make)
    dist.destroy_process_group()


def on_two_ranks(folder: Path, work: Callable[..., None], make: Make) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_rank, args=(rank, folder, work, make)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]


def _resume(rank: int, folder: Path, make: Make) -> None:
    for epochs, losses in ((1, 4), (2, 4)):
        engine = make(epochs=epochs)
        checkpoint = CheckpointHandler(folder / "checkpoints", {"method": engine.method}, {"method": "tiny"})
        resume = ResumeHandler(checkpoint)
        for handler in (checkpoint, resume):
            handler.attach(engine)
        engine.go()
        assert len(engine.losses) == losses
        dist.barrier()  # the trainer has its own: gradients
    assert resume.resumed_from == folder / "checkpoints" / "step=000000004.pt"
    foreign = ResumeHandler(CheckpointHandler(folder / "checkpoints", {}, {"method": "other"}))
    with pytest.raises(ValueError, match=r"another run \(method: expected 'other', got 'tiny'\)"):
        foreign.restore(engine)


def test_rank_0_writes_both_resume_and_both_refuse(tmp_path: Path, trainer: Make) -> None:
    on_two_ranks(tmp_path, _resume, trainer)
    assert [path.stem for path in list_checkpoints(tmp_path / "checkpoints")] == ["step=000000008", "step=000000004"]


def _means(rank: int, folder: Path, make: Make) -> None:
    engine = make(epochs=1, length=2)

    def replace(engine: Any) -> None:
        terms = {"order": torch.tensor(1.0 + rank)}
        engine.state.output = {"loss": torch.tensor(float(rank)), "terms": terms, "latest": {}, "batch_size": 5}

    engine.add_event_handler(Events.ITERATION_COMPLETED, replace)
    now = iter(range(100))
    for handler in (TermMeansHandler(), ThroughputHandler(lambda: float(next(now)))):
        handler.attach(engine)
    engine.go()
    assert engine.state.metrics["loss/total"] == 0.5
    assert engine.state.metrics["loss/order"] == 1.5
    assert engine.state.metrics["images_per_second"] == 2 * 10 / 6


def test_means_are_over_both_ranks_and_images_are_summed(tmp_path: Path, trainer: Make) -> None:
    on_two_ranks(tmp_path, _means, trainer)
