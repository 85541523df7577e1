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

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.inferers import SimpleInferer
from toy_task import classification, items, loader, segmentation, trainer

from monai_lamps.handlers.checkpoint import CheckpointHandler
from monai_lamps.handlers.resume import ResumeHandler
from monai_lamps.handlers.task_validator import Best, TaskValidator
from monai_lamps.tasks import CropsInferer


def one_batch(count: int = 6) -> dict[str, Any]:
    return {key: torch.stack([item[key] for item in items(count)]) for key in ("image", "label", "annotated")}


def test_all_cases_are_judged_in_eval_mode_and_named() -> None:
    task, validator = segmentation(), TaskValidator(loader(items()), "dice")
    figures = validator.measure(task)
    assert task.training
    task.eval()
    batch = one_batch()
    expected = task.figures.rows(task.predict(batch["image"]), batch)
    for row, other in zip(validator.cases, expected, strict=True):
        assert {key: row[key] for key in other} == pytest.approx(other, nan_ok=True, rel=1e-5)
    assert [(row["index"], row["image"], row["patient"]) for row in validator.cases[:3]] == [
        (0, "<item 0>", "p0"),
        (1, "<item 1>", "p0"),
        (2, "<item 2>", "p1"),
    ]
    summary = task.figures.summary(expected)
    assert {key: figures[key] for key in summary} == pytest.approx(summary, nan_ok=True, rel=1e-5)
    assert set(figures) - set(summary) == {"loss/dice", "loss/bce"}


def test_losses_are_means_over_the_batches_weighted_by_their_images() -> None:
    task, data = segmentation(), items()
    for item in data:
        item["annotated"] = torch.tensor([True, True])
    figures = TaskValidator(loader(data, batch_size=4), "dice").measure(task)
    whole = TaskValidator(loader(data, batch_size=6), "dice").measure(task)
    assert figures["loss/bce"] == pytest.approx(whole["loss/bce"], rel=1e-5)


def test_the_figures_are_published_for_the_epochs_that_are_judged() -> None:
    seen: list[bool] = []
    engine = trainer(segmentation(), epochs=5)
    TaskValidator(loader(items()), "dice", interval=3).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append("validation/dice/square" in e.state.metrics))
    engine.run()
    assert seen == [False, False, True, False, True]


def test_judging_leaves_no_trace_in_the_training() -> None:
    tasks = [segmentation(), segmentation()]
    trainer(tasks[0]).run()
    trainer(tasks[1], handlers=[TaskValidator(loader(items()), "dice")]).run()
    first, second = (task.state_dict() for task in tasks)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def script(validator: TaskValidator, values: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the key figure of the epochs be these values."""
    told = iter(values)
    monkeypatch.setattr(validator, "measure", lambda *args: {validator.key: next(told)})


@pytest.mark.parametrize(
    ("arguments", "values", "best"),
    [
        ({}, [0.5, 0.7, 0.7, 0.6], Best(0.7, 2, 6)),
        ({"greater": False}, [0.5, 0.7, 0.3, 0.4], Best(0.3, 3, 9)),
        ({"min_delta": 0.1}, [0.5, 0.55, 0.65, 0.7], Best(0.65, 3, 9)),
        ({}, [math.nan, 0.2, math.nan, 0.1], Best(0.2, 2, 6)),
        ({"interval": 2}, [0.5, 0.4], Best(0.5, 2, 6)),
    ],
)
def test_the_best_epoch_is_remembered(
    arguments: dict[str, Any], values: list[float], best: Best, monkeypatch: pytest.MonkeyPatch
) -> None:
    validator = TaskValidator([], "dice", **arguments)
    script(validator, values, monkeypatch)
    improved: list[bool] = []
    engine = trainer(segmentation(), epochs=4, handlers=[validator])
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: improved.append(validator.improved))
    engine.run()
    assert validator.best == best
    assert improved[best.epoch - 1]
    assert not any(improved[best.epoch :])
    assert validator.summary() == {"best validation/dice": best.value, "best epoch": best.epoch}


def test_a_figure_that_is_never_a_number_is_said_and_never_best(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    validator = TaskValidator([], "auroc")
    script(validator, [math.nan], monkeypatch)
    with caplog.at_level(logging.WARNING):
        trainer(segmentation(), epochs=1, handlers=[validator]).run()
    assert validator.best is None
    assert validator.summary() == {}
    assert "validation/auroc is nan: it cannot tell which epoch is best yet" in caplog.text


def test_a_key_that_is_no_figure_is_refused_with_those_that_are() -> None:
    engine = trainer(segmentation(), epochs=1, handlers=[TaskValidator(loader(items()), "dcie")])
    with pytest.raises(ValueError, match=r"there is no figure 'dcie' that could decide; take one of \['dice', 'dice/"):
        engine.run()


def test_an_image_that_was_replaced_by_another_is_counted_once() -> None:
    batch = {**one_batch(3), "index": torch.tensor([0, 1, 0])}
    validator = TaskValidator([batch], "dice")
    validator.measure(segmentation())
    assert [row["index"] for row in validator.cases] == [0, 1]
    del batch["index"]
    validator.measure(segmentation())
    assert len(validator.cases) == 3


def test_an_inferer_shows_the_images_in_its_own_way() -> None:
    task, data = classification(), [{"image": torch.rand(2, 1, 16, 16), "label": torch.eye(2)}]
    plain, same = TaskValidator(data, "auroc"), TaskValidator(data, "auroc", inferer=SimpleInferer())
    figures = plain.measure(task)
    del figures["loss/bce"]
    assert same.measure(task) == pytest.approx(figures)
    crops = TaskValidator(data, "auroc", inferer=CropsInferer(8))
    crops.measure(task)
    expected = CropsInferer(8)(data[0]["image"], task.eval().predict)
    assert [row["probability/left"] for row in crops.cases] == pytest.approx(expected[:, 0].tolist())


def test_a_resumed_run_knows_the_best_epoch_and_ends_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    def run(folder: Path, stop_at: int | None = None) -> tuple[Any, TaskValidator]:
        task, validator = segmentation(), TaskValidator(loader(items()), "loss/bce")  # falls, so an early one is best
        engine = trainer(task, epochs=4)
        state = {"method": task, "optimizer": engine.optimizer, "validator": validator}
        checkpoint = CheckpointHandler(folder, state, {"task": "toy"})
        for handler in (ResumeHandler(checkpoint), validator, checkpoint):
            handler.attach(engine)
        if stop_at is not None:
            engine.add_event_handler(Events.ITERATION_COMPLETED(once=stop_at), lambda e: e.terminate())
        engine.run()
        return task, validator

    task, validator = run(tmp_path / "whole")
    run(tmp_path / "cut", stop_at=8)
    resumed, other = run(tmp_path / "cut")
    assert validator.best is not None
    assert validator.best.epoch < 3  # of before the interruption
    assert other.best == validator.best
    assert other.cases == [pytest.approx(row, nan_ok=True, abs=0) for row in validator.cases]
    first, second = task.state_dict(), resumed.state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_nothing_judged_yet_is_a_state_too() -> None:
    validator = TaskValidator([], "dice")
    validator.load_state_dict(TaskValidator([], "dice").state_dict())
    assert validator.best is None


def test_a_loader_without_batches_is_an_error() -> None:
    with pytest.raises(ValueError, match="the validation loader gave no batch; check the validation list"):
        TaskValidator([], "dice").measure(segmentation())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": 0}, "interval must be at least 1 epoch, got 0"),
        ({"min_delta": -0.1}, "min_delta must be >= 0, got -0.1; say with greater whether more is better"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskValidator([], "dice", **arguments)
