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
from torch.utils.data import DataLoader, Dataset

from monai_lamps.engines.flops import StepFlops
from monai_lamps.handlers import (
    CheckpointHandler,
    RepresentationMonitor,
    ResumeHandler,
    TermMeansHandler,
    ThroughputHandler,
    list_checkpoints,
)

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


class Radiographs(Dataset):
    """Images that remember which were loaded; one may be broken."""

    def __init__(self, length: int, broken: int | None = None) -> None:
        self.length, self.broken = length, broken
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index == self.broken:
            raise OSError(f"image {index} cannot be read")
        self.loaded.append(index)
        return {"image": torch.rand(4, generator=torch.Generator().manual_seed(index))}


def watch(length: int, max_batches: int | None = None, broken: int | None = None, **kwargs: Any) -> tuple[Any, Any]:
    data = Radiographs(length, broken)
    return RepresentationMonitor(DataLoader(data, batch_size=2, **kwargs), max_batches=max_batches), data


def random_reading(method: Any) -> Any:
    """The method with a figure that depends on the global random state."""
    readings = method.readings
    method.readings = lambda batch: {**readings(batch), "draw": torch.rand(())}
    return method


@pytest.mark.parametrize(
    ("length", "max_batches", "loaded"),
    [
        (7, None, [[0, 1, 4, 5], [2, 3, 6]]),  # the last batch is smaller
        (5, None, [[0, 1, 4], [2, 3]]),  # one batch more on the first rank
        (9, 3, [[0, 1, 4, 5], [2, 3]]),
        (2, None, [[0, 1], []]),  # fewer batches than ranks
        (1, None, [[0], []]),  # too few images for the figures of a collapse
    ],
)
def test_two_ranks_share_the_validation_images_and_have_the_figures_of_one(
    tmp_path: Path, trainer: Make, length: int, max_batches: int | None, loaded: list[list[int]]
) -> None:
    alone, _ = watch(length, max_batches)
    expected = alone.measure(random_reading(trainer().method))

    def look(rank: int, folder: Path, make: Make) -> None:
        monitor, data = watch(length, max_batches)
        engine = make(epochs=2, length=1)
        random_reading(engine.method)
        untrained = monitor.measure(engine.method)
        assert untrained == pytest.approx(expected, rel=1e-6)
        assert data.loaded == loaded[rank]
        for handler in (TermMeansHandler(), monitor):
            handler.attach(engine)
        engine.go()
        figures = {name: engine.state.metrics[name] for name in expected}
        both: list[Any] = [None, None]
        dist.all_gather_object(both, figures)
        assert both[0] == both[1]

    on_two_ranks(tmp_path, look, trainer)


def test_a_rank_whose_images_cannot_be_read_does_not_leave_the_other_waiting(tmp_path: Path, trainer: Make) -> None:
    def look(rank: int, folder: Path, make: Make) -> None:
        monitor, _ = watch(7, broken=3)
        expected = "^image 3 cannot be read" if rank == 1 else "failed on rank 1: OSError: image 3 cannot be read"
        with pytest.raises(OSError if rank == 1 else RuntimeError, match=expected):
            monitor.measure(make().method)
        dist.barrier()

    on_two_ranks(tmp_path, look, trainer)


def test_both_ranks_refuse_a_validation_loader_that_shuffles_or_is_empty(tmp_path: Path, trainer: Make) -> None:
    def look(rank: int, folder: Path, make: Make) -> None:
        with pytest.raises(ValueError, match=r"shuffles \(RandomSampler\), so 2 processes"):
            watch(7, shuffle=True)[0].measure(make().method)
        with pytest.raises(ValueError, match="the validation loader gave no batch"):
            watch(0)[0].measure(make().method)
        dist.barrier()

    on_two_ranks(tmp_path, look, trainer)


def _arithmetic(rank: int, folder: Path, make: Make) -> None:
    engine, now = make(epochs=1, length=2), iter(range(100))
    handler = ThroughputHandler(lambda: float(next(now)), StepFlops(rate=lambda device, dtype: 400.0))
    handler.attach(engine)
    engine.go()
    rate = 2 * 240 / 6  # two steps in six looks at the clock
    assert engine.state.metrics["flops_per_second"] == pytest.approx(2 * rate)
    assert engine.state.metrics["share_of_peak"] == pytest.approx(rate / 400)


def test_arithmetic_is_summed_over_the_ranks_and_its_share_is_that_of_a_rank(tmp_path: Path, trainer: Make) -> None:
    on_two_ranks(tmp_path, _arithmetic, trainer)
