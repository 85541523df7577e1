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
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from ignite.engine import Events
from torch.utils.data import DataLoader

from monai_lamps.handlers import (
    CheckpointHandler,
    PreemptionHandler,
    ResumeHandler,
    leave_signals_to_main_process,
    list_checkpoints,
)

IDENTITY = {"method": "tiny"}
Make = Callable[..., Any]
NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@pytest.fixture(autouse=True)
def old_handlers() -> Iterator[list[Any]]:
    """The signal handlers before the test, put back after it."""
    before = [signal.getsignal(number) for number in NUMBERS]
    yield before
    for number, handler in zip(NUMBERS, before, strict=True):
        signal.signal(number, handler)


def prepare(engine: Any, folder: Path, **arguments: Any) -> PreemptionHandler:
    checkpoint = CheckpointHandler(folder, {"method": engine.method, "optimizer": engine.optimizer}, IDENTITY)
    handler = PreemptionHandler(checkpoint, **arguments)
    for item in (handler, checkpoint, ResumeHandler(checkpoint)):
        item.attach(engine)
    return handler


def kill_at(step: int, number: int) -> Callable[[Any], None]:
    return lambda engine: os.kill(os.getpid(), number) if engine.state.iteration == step else None


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_saves_after_the_step_stops_and_the_run_continues_exactly(
    tmp_path: Path, trainer: Make, old_handlers: list[Any], number: int
) -> None:
    straight = trainer(epochs=2).go()
    first = trainer(epochs=2)
    first.hook = kill_at(2, number)
    handler = prepare(first, tmp_path)
    first.go()
    assert handler.preempted
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step=000000002.pt"]
    assert [signal.getsignal(n) for n in NUMBERS] == old_handlers
    with pytest.raises(SystemExit) as caught:
        handler.exit_if_preempted()
    assert caught.value.code == 85
    second = trainer(epochs=2)
    handler = prepare(second, tmp_path)
    second.go()
    assert first.losses + second.losses == straight.losses
    assert not handler.preempted
    handler.exit_if_preempted()


def test_at_the_last_step_of_an_epoch_the_epoch_is_finished_first(tmp_path: Path, trainer: Make) -> None:
    engine, completed = trainer(epochs=2), []
    engine.hook = kill_at(4, signal.SIGTERM)
    handler = prepare(engine, tmp_path)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: completed.append(e.state.epoch))
    engine.go()
    assert completed == [1]
    assert handler.preempted
    assert len(engine.losses) == 4
    assert len(list_checkpoints(tmp_path)) == 1


def test_at_the_last_step_of_the_run_it_simply_ends(tmp_path: Path, trainer: Make) -> None:
    engine = trainer(epochs=2)
    engine.hook = kill_at(8, signal.SIGTERM)
    handler = prepare(engine, tmp_path)
    engine.go()
    assert not handler.preempted
    assert len(list_checkpoints(tmp_path)) == 2


def test_a_second_interrupt_stops_at_once(tmp_path: Path, trainer: Make) -> None:
    engine = trainer()

    def twice(_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while handler._caught is None:  # two signals that come at once may be delivered as one
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)  # ended by the interrupt

    engine.hook = twice
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs without it
    try:
        handler = prepare(engine, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            engine.go()
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert list_checkpoints(tmp_path) == []


def test_after_an_exception_the_next_signal_goes_to_the_old_handler(tmp_path: Path, trainer: Make) -> None:
    caught: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: caught.append(number))
    engine = trainer()

    def fail(_: Any) -> None:
        raise RuntimeError("out of memory")

    engine.hook = fail
    handler = prepare(engine, tmp_path)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.go()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert caught == [signal.SIGUSR1]
    assert not handler.preempted


def test_outside_the_main_thread_it_warns_and_training_runs(tmp_path: Path, trainer: Make) -> None:
    engine = trainer()
    prepare(engine, tmp_path)

    def run() -> None:
        with pytest.warns(UserWarning, match="signals can be caught in the main thread only"):
            engine.go()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(engine.losses) == 8


def test_ill_arguments(tmp_path: Path) -> None:
    checkpoint = CheckpointHandler(tmp_path, {}, IDENTITY)
    with pytest.raises(ValueError, match=r"unknown signals \['SIGTREM'\]; expected names like SIGTERM, SIGUSR1"):
        PreemptionHandler(checkpoint, ["SIGTREM"])
    with pytest.raises(ValueError, match="agree_every must be at least 1, got 0"):
        PreemptionHandler(checkpoint, agree_every=0)


def _train_with_workers(folder: Path, make: Make) -> None:
    os.setsid()
    torch.set_num_threads(1)
    engine = make(epochs=50, length=40)
    handler = prepare(engine, folder / "checkpoints")
    data: Any = range(2000)
    loader: Any = DataLoader(data, num_workers=2, worker_init_fn=leave_signals_to_main_process)

    def work(engine: Any) -> None:
        time.sleep(0.005)
        if engine.state.iteration == 5:
            (folder / "going").touch()

    engine.hook = work
    engine.run(loader, max_epochs=50, epoch_length=40)
    handler.exit_if_preempted()


def test_a_signal_to_the_whole_process_group_with_loader_workers_is_survived_and_saved(
    tmp_path: Path, trainer: Make
) -> None:
    process = multiprocessing.get_context("fork").Process(target=_train_with_workers, args=(tmp_path, trainer))
    process.start()
    assert process.pid is not None
    deadline = time.monotonic() + 30
    while not (tmp_path / "going").exists():
        assert time.monotonic() < deadline
        assert process.is_alive()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == 85
    assert len(list_checkpoints(tmp_path / "checkpoints")) == 1


_LEFT_OVER: list[Any] = []


def _end_with_workers_at_work() -> None:
    torch.set_num_threads(1)
    loader: Any = DataLoader(
        range(8),  # type: ignore[arg-type]
        num_workers=2,
        persistent_workers=True,
        worker_init_fn=leave_signals_to_main_process,
    )
    _LEFT_OVER.append(loader)
    assert len(list(loader)) == 8


def test_a_run_ends_though_it_leaves_workers_behind() -> None:
    process = multiprocessing.get_context("fork").Process(target=_end_with_workers_at_work)
    process.start()
    process.join(30)
    hangs = process.is_alive()
    process.kill()
    assert not hangs
    assert process.exitcode == 0


def _train_rank(rank: int, folder: Path, make: Make) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    engine = make(epochs=2, length=20)
    handler = prepare(engine, folder / "checkpoints", agree_every=3)
    if rank == 1:
        engine.hook = kill_at(7, signal.SIGTERM)
    engine.go()
    (folder / f"rank{rank}").write_text(f"{engine.state.iteration} {handler.preempted}")
    dist.destroy_process_group()


def test_two_ranks_stop_at_the_same_step_though_one_was_signalled(tmp_path: Path, trainer: Make) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_train_rank, args=(rank, tmp_path, trainer)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    assert [(tmp_path / f"rank{rank}").read_text() for rank in range(2)] == ["9 True", "9 True"]
    assert [p.name for p in list_checkpoints(tmp_path / "checkpoints")] == ["step=000000009.pt"]
