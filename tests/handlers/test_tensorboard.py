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

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Events
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from monai_lamps.engines.flops import StepFlops
from monai_lamps.handlers import (
    CheckpointHandler,
    ResumeHandler,
    TensorBoardMetrics,
    TermMeansHandler,
    ThroughputHandler,
    tensorboard,
)

Make = Callable[..., Any]


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_terms_readings_and_rates_every_nth_step_and_figures_of_epochs(tmp_path: Path, trainer: Make) -> None:
    engine = trainer(epochs=2, length=4)
    for handler in (TensorBoardMetrics(tmp_path, iteration_log=2), TermMeansHandler()):
        handler.attach(engine)
    engine.optimizer.param_groups[0]["weight_decay"] = 0.04
    engine.go()
    found = curves(tmp_path)
    assert found["step/loss/total"] == [(n, pytest.approx(engine.losses[n - 1])) for n in (2, 4, 6, 8)]
    assert [step for step, _ in found["step/loss/order"]] == [2, 4]
    assert [step for step, _ in found["step/loss/context"]] == [6, 8]
    assert [value for _, value in found["step/train/context_accuracy"]] == [0.25, 0.25]
    assert found["step/lr"][0] == (2, pytest.approx(0.1))
    assert found["step/weight_decay"][0] == (2, pytest.approx(0.04))
    means = [sum(engine.losses[:4]) / 4, sum(engine.losses[4:]) / 4]
    assert found["loss/total"] == [(4, pytest.approx(means[0])), (8, pytest.approx(means[1]))]
    assert [step for step, _ in found["loss/order"]] == [4]


def test_how_fast_the_run_is_is_written_between_epochs_and_for_them(tmp_path: Path, trainer: Make) -> None:
    engine, now = trainer(epochs=1, length=4), [0.0]
    engine.hook = lambda e: now.__setitem__(0, now[0] + e.state.iteration)
    throughput = ThroughputHandler(lambda: now[0], StepFlops(rate=lambda *_: 480.0))  # 240 FLOPs a step
    for handler in (throughput, TensorBoardMetrics(tmp_path, iteration_log=2, throughput=throughput)):
        handler.attach(engine)
    engine.go()
    found = curves(tmp_path)
    assert found["step/images_per_second"] == [(2, pytest.approx(10 / 3)), (4, pytest.approx(10 / 7))]
    assert found["step/share_of_peak"] == [(2, pytest.approx(1 / 3)), (4, pytest.approx(1 / 7))]
    assert found["step/data_wait_share"] == [(2, 0.0), (4, 0.0)]
    assert found["share_of_peak"] == [(4, pytest.approx(1 / 5))]
    names = {"images_per_second", "data_wait_share", "peak_memory_gb", "flops_per_second", "share_of_peak"}
    assert names | {f"step/{name}" for name in names} <= set(found)


def test_curves_of_a_resumed_run_do_not_overlap(tmp_path: Path, trainer: Make) -> None:
    for stop in (6, 99):  # killed at step 6, the last checkpoint is of step 4
        engine = trainer(epochs=2, length=4)
        board = TensorBoardMetrics(tmp_path / "tensorboard", iteration_log=1)
        checkpoint = CheckpointHandler(tmp_path / "checkpoints", {"method": engine.method}, {})
        for handler in (board, checkpoint, ResumeHandler(checkpoint)):
            handler.attach(engine)
        engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda e, stop=stop: e.terminate() if e.state.iteration == stop else None
        )
        engine.go()
    assert [step for step, _ in curves(tmp_path / "tensorboard")["step/loss/total"]] == list(range(1, 9))


def test_zero_writes_epochs_only(tmp_path: Path, trainer: Make) -> None:
    engine = trainer(epochs=2, length=4)
    for handler in (TermMeansHandler(), TensorBoardMetrics(tmp_path, iteration_log=0)):
        handler.attach(engine)
    engine.go()
    assert not [name for name in curves(tmp_path) if name.startswith("step/")]


def test_a_disk_error_is_logged_once_and_training_goes_on(
    tmp_path: Path, trainer: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tensorboard, "SummaryWriter", full)
    engine = trainer(epochs=2, length=4)
    TensorBoardMetrics(tmp_path, iteration_log=1).attach(engine)
    engine.go()
    assert len(engine.losses) == 8
    assert caplog.text.count("training goes on without curves") == 1


def test_other_ranks_do_not_write(tmp_path: Path, trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard.idist, "get_rank", lambda: 1)
    engine = trainer(epochs=1)
    TensorBoardMetrics(tmp_path, iteration_log=1).attach(engine)
    engine.go()
    assert list(tmp_path.iterdir()) == []


def test_ill_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="iteration_log must be positive, or 0 for epochs only, got -1"):
        TensorBoardMetrics(tmp_path, iteration_log=-1)
    monkeypatch.setattr(tensorboard, "_HAS_TENSORBOARD", False)
    with pytest.raises(RuntimeError, match="TensorBoardMetrics needs tensorboard; pip install tensorboard"):
        TensorBoardMetrics(tmp_path)
