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
from collections.abc import Callable
from typing import Any

import pytest
from ignite.engine import Events
from tqdm import tqdm

from monai_lamps.engines.flops import StepFlops
from monai_lamps.handlers import ProgressHandler, TermMeansHandler, ThroughputHandler, progress, throughput
from monai_lamps.handlers.progress import epoch_line

Make = Callable[..., Any]


def test_an_epoch_is_said_as_a_person_would() -> None:
    figures = {
        "loss/total": 5.2123,
        "loss/order": 5.2123,
        "train/order": 5.2123,
        "train/order_accuracy": 0.03125,
        "validation/order_accuracy": 0.028,
        "collapse/effective_rank": 12.34,
        "collapse/feature_std": 0.5,
        "images_per_second": 1234.5,
        "data_wait_share": 0.034,
        "peak_memory_gb": 3.0,
    }
    assert epoch_line(figures) == (
        "order: loss 5.21, order_accuracy 0.0312, validation order_accuracy 0.028, effective rank 12.3, "
        "1234 images/s, waiting for data 3 %, 3 GB"
    )


@pytest.mark.parametrize(
    ("flops", "share", "words"),
    [
        (3.456e14, 0.349, "346 TFLOP/s = 35 % of peak"),
        (2.5e15, 0.5, "2.5 PFLOP/s = 50 % of peak"),
        (1.2e9, 0.0123, "1.2 GFLOP/s = 1 % of peak"),
        (4.56e6, 0.00012, "4.56 MFLOP/s = 0.012 % of peak"),
    ],
)
def test_arithmetic_is_said_in_handy_units(flops: float, share: float, words: str) -> None:
    assert epoch_line({"flops_per_second": flops, "share_of_peak": share}) == words


def test_several_objectives_are_told_apart_and_nothing_measured_says_nothing() -> None:
    line = epoch_line({"loss/total": 3.0, "loss/composition": 1.0, "loss/decomposition": 2.0})
    assert line == "composition + decomposition: loss 3, composition 1, decomposition 2"
    assert epoch_line({}) == ""
    assert epoch_line({"loss/total": float("nan")}) == "loss nan"


def test_of_many_figures_the_line_shows_those_that_are_named() -> None:
    figures = {
        "loss/total": 1.5,
        "loss/dice": 1.0,
        "loss/bce": 0.5,
        "train/accuracy": 0.75,
        "validation/dice": 0.9,
        "validation/dice/heart": 0.91,
        "validation/hd95": 4.0,
        "images_per_second": 41.0,
    }
    line = epoch_line(figures, ["validation/hd95", "validation/dice", "validation/iou"])
    assert line == "dice + bce: loss 1.5, dice 1, bce 0.5, validation dice 0.9, validation hd95 4, 41 images/s"
    assert "validation dice/heart 0.91" in epoch_line(figures)
    assert epoch_line(figures, []) == "dice + bce: loss 1.5, dice 1, bce 0.5, 41 images/s"


def test_what_the_line_leaves_out_is_still_measured(trainer: Make, caplog: pytest.LogCaptureFixture) -> None:
    engine = trainer(epochs=1, length=2)
    for handler in (ProgressHandler(bar=False, figures=["validation/dice"]), TermMeansHandler()):
        handler.attach(engine)
    with caplog.at_level(logging.INFO, logger="monai_lamps"):
        engine.go()
    (line,) = [r.getMessage() for r in caplog.records if r.name.startswith("monai_lamps")]
    assert "order_accuracy" not in line
    assert engine.state.metrics["train/order_accuracy"] == 0.25


def test_the_line_of_an_epoch_has_the_figures_of_handlers_attached_later(
    trainer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    engine, now = trainer(epochs=2, length=4), [0.0]
    for handler in (ProgressHandler(bar=False, clock=lambda: now[0]), TermMeansHandler()):
        handler.attach(engine)
    engine.hook = lambda _: now.__setitem__(0, now[0] + 20.0)
    with caplog.at_level(logging.INFO, logger="monai_lamps"):
        engine.go()
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("monai_lamps")]
    assert lines[0].startswith("epoch 1/2 order: loss ")
    assert lines[0].endswith(", order_accuracy 0.25, 1 min 20 s")
    assert lines[1].startswith("epoch 2/2 context: loss ")
    assert len(lines) == 2


def test_without_a_terminal_a_line_comes_by_the_clock(trainer: Make, caplog: pytest.LogCaptureFixture) -> None:
    engine, now = trainer(epochs=1, length=12), [0.0]
    ProgressHandler(interval=2, bar=False, seconds=60.0, clock=lambda: now[0]).attach(engine)
    engine.hook = lambda _: now.__setitem__(0, now[0] + 12.5)
    with caplog.at_level(logging.INFO, logger="monai_lamps"):
        engine.go()
    lines = [r.getMessage() for r in caplog.records if ", step " in r.getMessage()]
    assert lines == [
        f"epoch 1/1, step 6/12: loss {engine.losses[5]:.4g}, 0.4 images/s",
        f"epoch 1/1, step 12/12: loss {engine.losses[11]:.4g}, 0.4 images/s",
    ]


@pytest.mark.parametrize("stop", [None, 3])
def test_the_bar_shows_loss_and_speed_and_is_closed_at_the_end(
    trainer: Make, capsys: pytest.CaptureFixture[str], stop: int | None
) -> None:
    engine = trainer(epochs=1, length=8)
    ProgressHandler(interval=2, bar=True).attach(engine)
    if stop:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=stop), lambda e: e.terminate())
    engine.go()
    shown = capsys.readouterr().err
    assert f"loss={engine.losses[1]:.4g}" in shown
    assert "images/s=" in shown
    assert not tqdm._instances


class Steady:
    """A clock that lets 2 seconds pass at every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


def watched(trainer: Make, length: int, **kwargs: Any) -> Any:
    """A trainer whose throughput is measured: 5 images in 6 seconds, each 2 * 4 * 3 FLOPs forward and as many back."""
    engine, measuring = trainer(epochs=1, length=length), ThroughputHandler(Steady(), StepFlops(lambda *_: 400.0))
    for handler in (measuring, ProgressHandler(interval=2, throughput=measuring, **kwargs)):
        handler.attach(engine)
    return engine


def test_the_bar_shows_how_fast_the_run_has_been_since_it_last_moved(
    trainer: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "peak_memory_gb", lambda: 1.25)
    watched(trainer, 6, bar=True).go()
    shown = capsys.readouterr().err
    # a step takes 6 seconds by the clock (start of the batch, its end, end of the step) and has 5 images
    assert "[4/6]" in shown
    assert shown.count("images/s=0.833, waiting=33%, memory=1.25GB, of peak=10%") >= 2


def test_the_line_between_epochs_has_the_same_figures(
    trainer: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "peak_memory_gb", lambda: 1.25)
    with caplog.at_level(logging.INFO, logger="monai_lamps"):
        engine = watched(trainer, 6, bar=False, seconds=0.0).go()
    (line,) = [r.getMessage() for r in caplog.records if "step 4/6" in r.getMessage()]
    assert line == (
        f"epoch 1/1, step 4/6: loss {engine.losses[3]:.4g}, 0.833 images/s, waiting for data 33 %, 1.25 GB, "
        "4e-05 MFLOP/s = 10 % of peak"
    )


def test_other_ranks_are_silent(
    trainer: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress.idist, "get_rank", lambda: 1)
    engine = trainer()
    ProgressHandler(bar=False, seconds=0).attach(engine)
    with caplog.at_level(logging.INFO, logger="monai_lamps"):
        engine.go()
    assert not [r for r in caplog.records if r.name.startswith("monai_lamps")]


def test_durations_are_short() -> None:
    assert [progress._duration(s) for s in (4.4, 75, 7384)] == ["4 s", "1 min 15 s", "2 h 3 min"]


def test_ill_arguments() -> None:
    with pytest.raises(ValueError, match="interval must be at least 1 iteration, got 0"):
        ProgressHandler(interval=0)
    with pytest.raises(ValueError, match=r"must be a list of names, got the text 'dice'; give \['dice'\]"):
        ProgressHandler(figures="dice")
