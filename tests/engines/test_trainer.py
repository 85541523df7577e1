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
from itertools import pairwise
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines.utils import IterationEvents
from torch.amp.grad_scaler import GradScaler
from torch.utils.data import DataLoader
from toy_training import BATCH, EPOCHS, STEPS, ToyMethod, assert_same, build, load, save, stop_after

from monai_lamps.data.keys import derive_seed
from monai_lamps.engines import Constant, Cosine, Curriculum, GlobalNormClip, NonFiniteGuard, Progress


def test_training_learns_and_reports_every_step() -> None:
    method = ToyMethod()
    method.curriculum, method.momentum = Curriculum([{"match": 1.0}]), Constant(1.0)  # a goal that stands still
    trainer = build(epochs=30, schedules={"lr": 0.05}, method=method)
    trainer.run()
    assert sum(trainer.journal.losses[-10:]) < 0.5 * sum(trainer.journal.losses[:10])
    assert trainer.journal.epochs == [(step + 1, step // 2 + 1) for step in range(60)]


def test_the_output_has_loss_terms_latest_and_samples_and_nothing_holds_the_graph() -> None:
    outputs: list[dict[str, Any]] = []
    trainer = build()
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output))
    trainer.run()
    assert [sorted(output["terms"]) for output in outputs] == [
        ["match"],
        ["match"],
        ["match", "size"],
        ["match", "size"],
    ] * 2
    for output in outputs:
        assert sorted(output) == ["batch_size", "index", "latest", "loss", "terms"]
        assert output["batch_size"] == BATCH == len(output["index"])
        torch.testing.assert_close(output["loss"], sum(output["terms"].values()))
        assert not any(t.requires_grad for t in [output["loss"], *output["terms"].values(), *output["latest"].values()])


def test_one_step_is_sum_backward_clip_step_and_teacher() -> None:
    trainer = stop_after(build(schedules={"lr": 0.05, "weight_decay": 0.3}), 1)
    trainer.run()
    method, batch, progress = ToyMethod(), next(iter(build().data_loader)), Progress.at(0, 2, EPOCHS)
    torch.manual_seed(derive_seed(1, 0, 0))
    matrices = [p for p in method.student.parameters() if p.ndim > 1]
    others = [p for p in method.student.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": others, "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    sum(method(batch, progress).values()).backward()
    for parameter in matrices + others:
        torch.nn.utils.clip_grad_norm_([parameter], 0.8)
    optimizer.step()
    method.after_step(progress)
    for mine, other in zip(trainer.method.state_dict().values(), method.state_dict().values()):
        torch.testing.assert_close(mine, other)
    for key, state in optimizer.state_dict()["state"].items():
        torch.testing.assert_close(trainer.optimizer.state_dict()["state"][key], state)


def test_schedules_are_set_before_each_step_and_decay_only_where_marked() -> None:
    seen: list[tuple[float, float, float]] = []
    trainer = build()

    @trainer.on(IterationEvents.BACKWARD_COMPLETED)
    def note(engine: Any) -> None:
        first, second = engine.optimizer.param_groups
        assert first["lr"] == second["lr"]
        seen.append((first["lr"], first["weight_decay"], second["weight_decay"]))

    trainer.run()
    lr, decay = Cosine(0.05, 1e-4, warmup_epochs=0.5), Cosine(0.04, 0.4)
    places = [Progress.at(step, 2, EPOCHS) for step in range(STEPS)]
    assert seen == [(lr(place), decay(place), 0.0) for place in places]


def test_monai_iteration_events_fire_in_order_and_progress_is_that_of_the_step_in_hand() -> None:
    events = [
        IterationEvents.FORWARD_COMPLETED,
        IterationEvents.LOSS_COMPLETED,
        IterationEvents.BACKWARD_COMPLETED,
        IterationEvents.MODEL_COMPLETED,
        Events.ITERATION_COMPLETED,
    ]
    seen: list[tuple[int, Any]] = []
    trainer = build(epochs=1)
    for event in events:
        trainer.add_event_handler(event, lambda engine, event=event: seen.append((engine.progress.step, event)))
    assert trainer.progress == Progress.at(0, 2, 1)
    trainer.run()
    assert seen == [(step, event) for step in range(2) for event in events]
    assert trainer.progress == Progress.at(1, 2, 1)


def test_random_draws_of_a_step_depend_on_seed_and_step_only() -> None:
    first, second, other = build(), build(), build(seed=2)
    torch.manual_seed(123)
    first.run()
    torch.manual_seed(456)
    second.run()
    other.run()
    assert_same(first, second)
    assert first.journal.indices == other.journal.indices
    assert first.journal.losses != other.journal.losses


@pytest.mark.parametrize("clip", [None, GlobalNormClip(0.5)])
@pytest.mark.parametrize("guard", [False, True])
def test_clip_and_guard_are_collaborators_that_may_be_left_out(clip: Any, guard: bool) -> None:
    trainer = build(clip=clip, guard=NonFiniteGuard() if guard else None, schedules={"lr": Constant(0.01)})
    trainer.run()
    reference = build(clip=clip, schedules={"lr": 0.01})
    reference.run()
    assert_same(trainer, reference)


def test_bf16_computes_under_autocast_and_keeps_fp32_weights() -> None:
    class Watching(ToyMethod):
        dtypes: set[torch.dtype] = set()

        def forward(self, batch, progress):
            self.dtypes.add(self.student(batch["image"]).dtype)
            return super().forward(batch, progress)

    trainer = build(precision="bf16", method=Watching())
    trainer.run()
    assert Watching.dtypes == {torch.bfloat16}
    assert {p.dtype for p in trainer.method.parameters()} == {torch.float32}
    assert trainer.scaler is None


def scaled(scale: float, **kwargs: Any) -> Any:
    """A trainer as with fp16, but on the CPU."""
    trainer = build(**kwargs)
    trainer.scaler = GradScaler("cpu", init_scale=scale, growth_interval=1000)
    return trainer


def test_a_gradient_scaler_changes_nothing_but_the_range() -> None:
    plain, with_scaler = build(), scaled(2.0**10)
    plain.run()
    with_scaler.run()
    assert_same(plain, with_scaler)
    without_guard = scaled(2.0**10, guard=None)
    without_guard.run()
    assert_same(plain, without_guard)


def test_the_scale_is_saved_and_restored() -> None:
    trainer = stop_after(scaled(2.0**10), 3)
    trainer.run()
    assert trainer.state_dict()["scaler"]["scale"] == 2.0**10
    resumed = load(scaled(4.0), save(trainer))
    assert resumed.scaler.get_scale() == 2.0**10
    load(build(), save(trainer))  # a run without a scaler ignores it


def test_overflows_of_the_scaler_are_its_own_business() -> None:
    method = ToyMethod()
    method.curriculum = Curriculum([{"match": 1e4}])
    trainer = scaled(2.0**127, guard=NonFiniteGuard(patience=0), epochs=20, method=method)
    start = trainer.method.student[1].weight.clone()
    trainer.run()
    assert trainer.scaler.get_scale() < 2.0**127
    assert trainer.guard.skipped == 0
    assert not torch.equal(trainer.method.student[1].weight, start)


class Poisoned(ToyMethod):
    """Gives a loss that is not finite at some steps; by the value alone, the gradients are fine."""

    steps: tuple[int, ...] = ()

    def forward(self, batch, progress):
        terms = super().forward(batch, progress)
        if progress.step in self.steps:
            terms["match"] = terms["match"] + float("inf")
        return terms


def poisoned(*steps: int) -> Poisoned:
    method = Poisoned()
    method.steps = steps
    return method


@pytest.mark.parametrize("scale", [None, 4.0])
def test_a_step_without_a_finite_loss_changes_neither_weights_nor_optimizer(scale: float | None) -> None:
    trainer = build(method=poisoned(3, 4)) if scale is None else scaled(scale, method=poisoned(3, 4))
    states: list[list[torch.Tensor]] = []

    @trainer.on(Events.ITERATION_COMPLETED)
    def note(engine: Any) -> None:
        state = [p.clone() for p in engine.method.student.parameters()]
        state += [s["exp_avg"].clone() for s in engine.optimizer.state_dict()["state"].values()]
        states.append(state)

    trainer.run()
    changed = [any(not torch.equal(a, b) for a, b in zip(*pair)) for pair in pairwise(states)]
    assert changed == [True, True, False, False, True, True, True]
    assert trainer.guard.skipped == 2
    assert all(p.isfinite().all() for p in trainer.method.parameters())


def test_the_run_stops_when_patience_is_over_and_its_checkpoint_is_sound() -> None:
    trainer = build(method=poisoned(3, 4, 5), guard=NonFiniteGuard(patience=1))
    with pytest.raises(
        RuntimeError, match=r"not finite at step 4: loss=inf \(match=inf\), .*indices \[\d+, .*2 in a row"
    ):
        trainer.run()
    assert trainer.state_dict()["step"] == 4
    assert all(p.isfinite().all() for p in trainer.method.parameters())


def test_a_method_without_loss_terms_is_refused_and_the_log_does_not_repeat_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    method = ToyMethod()
    method.curriculum.weights = lambda progress: {}  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="returned no loss terms at step 0, expected at least one"):
        build(method=method).run()
    assert "returned no loss terms" not in caplog.text


def test_a_loss_term_that_is_no_scalar_is_refused() -> None:
    class Unreduced(ToyMethod):
        def forward(self, batch, progress):
            return {"match": self.student(batch["image"])}

    with pytest.raises(ValueError, match=r"Loss term 'match' got the shape \(4, 3\), expected a scalar"):
        build(method=Unreduced()).run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "fp16"}, r"precision got 'fp16', expected one of \['fp32', 'bf16'\] on device 'cpu'"),
        ({"precision": "half"}, "precision got 'half', expected one of"),
        ({"device": "gpu"}, "device got 'gpu', expected one of .*'cpu'"),
        ({"device": "cuda:99"}, "device got 'cuda:99', expected one of"),
        ({"max_epochs": 5}, "max_epochs got 5, expected total_epochs=4 of the batch sampler"),
        ({"epoch_length": 3}, "epoch_length got 3, expected steps_per_epoch=2 of the batch"),
        ({"schedules": {"learning_rate": 0.1}}, "schedules got the key 'learning_rate', expected one of"),
    ],
)
def test_ill_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_a_loader_that_cannot_start_anywhere_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a ResumableBatchSampler"):
        build(train_data_loader=DataLoader([1, 2]))  # type: ignore[arg-type]


def test_ending_an_epoch_early_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"tie between step and data: use terminate\(\)"):
        build().terminate_epoch()


def test_a_finished_run_returns_at_once_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    trainer = build(epoch_length=2, inferer="kept")
    trainer.run()
    weights = trainer.method.student[1].weight.clone()
    with caplog.at_level(logging.WARNING):
        trainer.run()
    assert f"already finished: {STEPS} of {STEPS} steps" in caplog.text
    assert torch.equal(trainer.method.student[1].weight, weights)
    assert len(trainer.journal.losses) == STEPS
    assert trainer.inferer == "kept"
    assert load(build(), save(trainer)).run() is None
