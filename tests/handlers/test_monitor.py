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
import torch
from ignite.engine import Events

from monai_lamps.handlers import RepresentationMonitor, collapse_figures, monitor

Make = Callable[..., Any]


@pytest.fixture
def batches() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    return [{"image": torch.rand(size, 4, generator=generator), "name": "x"} for size in (6, 6, 2)]


def test_readings_are_means_over_samples_and_embeddings_are_judged_together(
    trainer: Make, batches: list[dict[str, Any]]
) -> None:
    method = trainer().method
    figures = RepresentationMonitor(batches).measure(method)
    images = torch.cat([batch["image"] for batch in batches])
    expected = collapse_figures(method.layer(images))
    assert figures == pytest.approx(
        {"validation/mean_pixel": float(images.mean()), **{f"collapse/{k}": v for k, v in expected.items()}}, rel=1e-5
    )


class Drawing(torch.nn.Module):
    """A careless method: what it answers depends on the global random state."""

    def readings(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"draw": torch.rand(())}

    def embed(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images[:, None], images * torch.rand(4)


def test_the_figures_do_not_depend_on_the_random_state(batches: list[dict[str, Any]]) -> None:
    watch, figures = RepresentationMonitor(batches), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        figures.append(watch.measure(Drawing()))
    assert figures[0] == figures[1]


def test_it_computes_in_the_precision_of_the_trainer_and_judges_in_float32(
    trainer: Make, batches: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[torch.dtype] = []
    judged: list[torch.dtype] = []

    def judge(rows: torch.Tensor) -> dict[str, float]:
        judged.append(rows.dtype)
        return collapse_figures(rows)

    monkeypatch.setattr(monitor, "collapse_figures", judge)
    engine = trainer(epochs=1, length=1)
    engine.autocast_dtype, engine.state.device = torch.bfloat16, torch.device("cpu")
    engine.method.layer.register_forward_hook(lambda _module, _args, output: computed.append(output.dtype))
    RepresentationMonitor(batches).attach(engine)
    engine.go()
    assert computed == [torch.float32] + 3 * [torch.bfloat16]  # the step, which this trainer does by hand, and the look
    assert judged == [torch.float32]
    expected = RepresentationMonitor(batches).measure(engine.method)
    assert engine.state.metrics["collapse/feature_std"] != expected["collapse/feature_std"]
    assert {k: v for k, v in engine.state.metrics.items() if k in expected} == pytest.approx(expected, rel=0.02)


def test_looking_leaves_no_trace_in_the_training(trainer: Make, batches: list[dict[str, Any]]) -> None:
    alone, watched = trainer(epochs=2), trainer(epochs=2)
    RepresentationMonitor(batches).attach(watched)
    draws: list[list[float]] = []
    for engine in (alone, watched):
        torch.manual_seed(7)
        engine.hook = lambda _: draws.append(torch.rand(2).tolist())
        engine.go()
    assert watched.losses == alone.losses
    assert draws[:8] == draws[8:]
    assert watched.method.training
    assert not watched.method.frozen.training
    assert watched.method.layer.weight.requires_grad


def test_it_looks_every_nth_epoch_and_at_the_last_and_old_figures_do_not_linger(
    trainer: Make, batches: list[dict[str, Any]]
) -> None:
    engine, seen = trainer(epochs=5, length=1), []
    RepresentationMonitor(batches, interval=3).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append("validation/mean_pixel" in e.state.metrics))
    engine.go()
    assert seen == [False, False, True, False, True]


def test_only_so_many_batches_are_looked_at(trainer: Make, batches: list[dict[str, Any]]) -> None:
    figures = RepresentationMonitor(batches, max_batches=1).measure(trainer().method)
    assert figures["validation/mean_pixel"] == pytest.approx(float(batches[0]["image"].mean()))


def test_a_collapse_is_said_once_until_it_recovers(
    trainer: Make, batches: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(epochs=6, length=1)
    RepresentationMonitor(batches).attach(engine)
    good = engine.method.layer.weight.detach().clone()

    def collapse(engine: Any) -> None:
        with torch.no_grad():
            engine.method.layer.weight.copy_(good if engine.state.epoch == 4 else torch.zeros_like(good))

    engine.add_event_handler(Events.ITERATION_COMPLETED, collapse)
    with caplog.at_level(logging.WARNING):
        engine.go()
    warnings = [record.getMessage() for record in caplog.records if "collapses" in record.getMessage()]
    assert len(warnings) == 2
    assert "effective rank 0.00, 0.0 % of the possible (threshold 5.0 %). Lower the learning rate" in warnings[0]


def test_a_line_is_a_collapse_though_few_images_make_its_share_large(
    trainer: Make, batches: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(epochs=1, length=1)
    RepresentationMonitor(batches).attach(engine)

    def flatten(engine: Any) -> None:
        with torch.no_grad():
            engine.method.layer.weight.copy_(torch.ones(3, 1) @ torch.ones(1, 4))

    engine.add_event_handler(Events.ITERATION_COMPLETED, flatten)
    engine.go()
    assert engine.state.metrics["collapse/effective_rank_share"] > 0.3
    assert "the representation collapses: effective rank 1.0" in caplog.text


def test_two_images_that_differ_are_no_collapse_though_they_cannot_have_more_than_one_dimension(
    trainer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    engine = trainer(epochs=1, length=1)
    RepresentationMonitor([{"image": torch.rand(2, 4)}]).attach(engine)
    engine.go()
    assert engine.state.metrics["collapse/effective_rank"] == pytest.approx(1.0)
    assert "collapses" not in caplog.text


def test_a_single_image_has_no_collapse_figures(trainer: Make) -> None:
    figures = RepresentationMonitor([{"image": torch.rand(1, 4)}]).measure(trainer().method)
    assert list(figures) == ["validation/mean_pixel"]


def test_a_loader_without_batches_is_an_error(trainer: Make) -> None:
    with pytest.raises(ValueError, match="the validation loader gave no batch; check the validation list"):
        RepresentationMonitor([]).measure(trainer().method)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": 0}, "interval must be at least 1 epoch, got 0"),
        ({"collapse_threshold": 5.0}, "collapse_threshold must be a share from 0 to 1, got 5.0"),
        ({"max_batches": 0}, "max_batches must be at least 1, or None for all, got 0"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RepresentationMonitor([], **arguments)
