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

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Events
from toy_training import EPOCHS, STEPS, ToyMethod, assert_same, build, load, save, stop_after

from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines import Progress


@pytest.fixture(scope="module")
def straight() -> Any:
    trainer = build()
    trainer.run()
    return trainer


@settings(max_examples=20, deadline=None)
@given(stops=st.lists(st.integers(0, STEPS), max_size=3).map(sorted))
def test_a_run_stopped_at_any_steps_and_resumed_is_bit_for_bit_the_straight_run(
    straight: Any, stops: list[int]
) -> None:
    losses: list[float] = []
    indices: list[list[int]] = []
    trainer = build()
    for stop in stops:
        if stop > len(losses):
            stop_after(trainer, stop)
            trainer.run()
            losses += trainer.journal.losses
            indices += trainer.journal.indices
            assert trainer.state_dict()["step"] == stop == len(losses)
        trainer = load(build(), save(trainer))
    trainer.run()
    assert losses + trainer.journal.losses == straight.journal.losses
    assert indices + trainer.journal.indices == straight.journal.indices
    assert_same(trainer, straight)


def test_two_epochs_and_two_more_are_four(straight: Any) -> None:
    first = stop_after(build(), STEPS // 2)
    first.run()
    second = load(build(), save(first))
    epochs: list[int] = []
    second.add_event_handler(Events.EPOCH_STARTED, lambda engine: epochs.append(engine.state.epoch))
    second.run()
    assert epochs == [3, 4]
    assert_same(second, straight)


@pytest.mark.parametrize("stop", [0, 3, 4, STEPS])
def test_a_state_loaded_when_the_run_starts_is_as_good(straight: Any, stop: int) -> None:
    first = stop_after(build(), stop)
    first.run()
    checkpoint = save(first)
    second = build()
    second.add_event_handler(Events.STARTED, lambda engine: load(engine, checkpoint))
    second.run()
    assert len(second.journal.losses) == STEPS - stop
    assert_same(second, straight)


@pytest.mark.parametrize("stop", [3, 4])
def test_workers_do_not_matter(straight: Any, stop: int) -> None:
    first = stop_after(build(workers=2), stop)
    first.run()
    second = load(build(workers=1), save(first))
    second.run()
    assert first.journal.losses + second.journal.losses == straight.journal.losses
    assert_same(second, straight)


def test_ignite_takes_one_iterator_for_all_epochs_and_counts_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = ResumableBatchSampler.__iter__

    def counting(self: ResumableBatchSampler) -> Any:
        made.append(self.start_step)
        return original(self)

    monkeypatch.setattr(ResumableBatchSampler, "__iter__", counting)
    first = stop_after(build(), 3)
    seen: list[tuple[str, int, int]] = []
    second = build()
    for trainer in (first, second):
        for event in (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.DATALOADER_STOP_ITERATION, Events.COMPLETED):
            trainer.add_event_handler(
                event, lambda e, event=event: seen.append((event.name, e.state.epoch, e.state.iteration))
            )
    first.run()
    load(second, save(first)).run()
    assert made == [0, 3]
    assert seen == [
        ("EPOCH_STARTED", 1, 0),
        ("EPOCH_COMPLETED", 1, 2),
        ("EPOCH_STARTED", 2, 2),
        ("COMPLETED", 2, 3),  # terminated in the middle of epoch 2
        ("EPOCH_STARTED", 2, 3),
        ("EPOCH_COMPLETED", 2, 4),
        ("EPOCH_STARTED", 3, 4),
        ("EPOCH_COMPLETED", 3, 6),
        ("EPOCH_STARTED", 4, 6),
        ("EPOCH_COMPLETED", 4, 8),
        ("COMPLETED", 4, 8),
    ]


@pytest.mark.parametrize(
    ("event", "done"), [(Events.ITERATION_COMPLETED, 3), (Events.ITERATION_STARTED, 2), (Events.GET_BATCH_COMPLETED, 0)]
)
def test_the_same_trainer_goes_on_after_terminate_at_any_event(straight: Any, event: Any, done: int) -> None:
    trainer = build()
    handle = trainer.add_event_handler(event(every=3), lambda engine: engine.terminate())
    trainer.run()
    assert trainer.state_dict()["step"] == done
    handle.remove()
    trainer.run()
    assert trainer.journal.losses == straight.journal.losses
    assert_same(trainer, straight)


def test_the_same_trainer_goes_on_after_an_interrupt(straight: Any) -> None:
    trainer = build()
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda engine: engine.interrupt())
    trainer.run()
    assert len(trainer.journal.losses) == 3
    trainer.run()
    assert trainer.journal.losses == straight.journal.losses
    assert_same(trainer, straight)


class Failing(ToyMethod):
    """Fails once, in the middle of an epoch."""

    failed = False

    def forward(self, batch, progress):
        if progress.step == 3 and not self.failed:
            self.failed = True
            raise OSError("the drive is gone")
        return super().forward(batch, progress)


def test_a_checkpoint_made_on_an_exception_and_the_trainer_itself_are_at_the_last_completed_step(straight: Any) -> None:
    trainer = build(method=Failing())
    checkpoints: list[bytes] = []

    def keep(engine: Any, error: Exception) -> None:
        checkpoints.append(save(engine))
        raise error

    trainer.add_event_handler(Events.EXCEPTION_RAISED, keep)
    with pytest.raises(OSError, match="the drive is gone"):
        trainer.run()
    assert trainer.state_dict()["step"] == 3
    trainer.run()
    assert_same(trainer, straight)
    resumed = load(build(), checkpoints[0])
    resumed.run()
    assert_same(resumed, straight)


def test_a_run_can_be_extended_and_schedules_stretch_to_the_new_length() -> None:
    constant = {"schedules": {"lr": 0.01}, "method": None}
    whole = build(**constant)
    whole.method.momentum = lambda progress: 0.9
    whole.run()
    short = build(epochs=2, **constant)
    short.method.momentum = lambda progress: 0.9
    short.run()
    checkpoint = save(short)
    again = load(build(**constant), checkpoint)
    again.method.momentum = lambda progress: 0.9
    again.run()
    assert_same(again, whole)
    short.state.max_epochs = EPOCHS
    short.run()
    assert_same(short, whole)
    assert short.progress == Progress.at(STEPS - 1, STEPS // EPOCHS, EPOCHS)


def test_a_sampler_that_starts_late_starts_the_run_late() -> None:
    trainer = build(start_step=5)
    trainer.run()
    assert trainer.journal.epochs == [(6, 3), (7, 4), (8, 4)]


def test_the_state_is_one_number_and_a_check() -> None:
    trainer = stop_after(build(), 3)
    trainer.run()
    assert trainer.state_dict() == {"step": 3, "steps_per_epoch": 2, "scaler": {}}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"iteration": 3},
            r"Trainer state got the keys \['iteration'\] with step=None, expected an integer 'step' >= 0",
        ),
        ({"step": -1}, "step=-1, expected an integer 'step' >= 0"),
        ({"step": 2, "steps_per_epoch": 3}, "3 steps per epoch, this run 2, so its data or batch size differ"),
        ({"step": STEPS + 1}, "checkpoint is at step 9, this run ends at step 8"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build().load_state_dict(state)


def test_loading_while_the_run_is_under_way_is_refused() -> None:
    trainer = build()
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: engine.load_state_dict({"step": 0}))
    with pytest.raises(RuntimeError, match=r"load_state_dict was called during a run, at .*: call it before run\(\)"):
        trainer.run()
    interrupted = build()
    interrupted.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda engine: engine.interrupt())
    interrupted.run()
    with pytest.raises(RuntimeError, match="load_state_dict was called during a run"):
        interrupted.load_state_dict({"step": 0})
    interrupted.run()
