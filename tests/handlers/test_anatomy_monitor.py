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
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ignite.engine import Events
from torch import nn

from monai_lamps.data import RejectLog
from monai_lamps.engines.anatomy import (
    Case,
    EncoderMaps,
    Examination,
    Finding,
    NotJudgedError,
    Probe,
    Subject,
    light_probes,
)
from monai_lamps.handlers import AnatomyMonitor
from monai_lamps.networks import build_encoder

from .test_two_ranks import on_two_ranks

Make = Callable[..., Any]
ITEMS = [{"image": f"{number}.png"} for number in range(4)]


def read(item: Mapping[str, Any]) -> Case:
    """A radiograph that its name decides, with two landmarks."""
    number = int(Path(item["image"]).stem)
    image = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(number))
    return Case(item["image"], number, image, {"apex": (0.3, 0.3), "base": (0.7, 0.6)})


@pytest.fixture(scope="module")
def encoder() -> nn.Module:
    """Cells of 8 px; its batch normalisation tells whether somebody looked in training mode."""
    torch.manual_seed(0)
    return build_encoder("resnet18", in_channels=1, stride=8, base_channels=4)


@pytest.fixture
def watched(trainer: Make, encoder: nn.Module) -> Make:
    """Makes a trainer whose method has an encoder."""

    def make(**options: int) -> Any:
        engine = trainer(**options)
        engine.method.encoder = encoder.train()
        engine.method.mean, engine.method.std = 0.5, 0.25
        return engine

    return make


class Asking(Probe):
    """A probe that calls a function of the examination for its figures."""

    def __init__(self, answer: Callable[[Examination], dict[str, float]], name: str = "asking") -> None:
        self.answer, self.name, self.about, self.notes = answer, name, "", {}

    def __call__(self, examination: Examination) -> Finding:
        figures = self.answer(examination)
        return Finding(lambda weights: figures)


def one(examination: Examination) -> dict[str, float]:
    return {"one": 1.0}


def monitor(*probes: Probe, **options: Any) -> AnatomyMonitor:
    return AnatomyMonitor(ITEMS, read, probes or [Asking(one)], 32, **options)


def test_the_figures_are_those_of_the_probes_for_the_exported_encoder(watched: Make) -> None:
    method = watched().method
    found = monitor(*light_probes(32)).measure(method)
    maps = EncoderMaps(method.encoder, {"mean": 0.5, "std": 0.25})
    examination = Examination(Subject("run", maps), [read(item) for item in ITEMS], 32)
    expected = {
        f"anatomy/{probe.name}/{name}": value
        for probe in light_probes(32)
        for name, value in probe(examination).statistic(np.ones(len(ITEMS))).items()
    }
    assert found == pytest.approx({name: value for name, value in expected.items() if np.isfinite(value)}, rel=1e-6)
    assert {name.split("/")[1] for name in found} == {"warp", "position", "compositionality", "locality"}


def test_looking_leaves_no_trace_in_the_training(watched: Make) -> None:
    engines, draws = [watched(epochs=2), watched(epochs=2)], []
    before = {name: value.clone() for name, value in engines[0].method.encoder.state_dict().items()}
    monitor(*light_probes(32)).attach(engines[1])
    for engine in engines:
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(7)
        engine.hook = lambda _: draws.append((*torch.rand(2).tolist(), np.random.rand(), random.random()))
        engine.go()
    assert engines[1].losses == engines[0].losses
    assert draws[:8] == draws[8:]
    method = engines[1].method
    assert method.training
    assert not method.frozen.training
    assert all(module.training for module in method.encoder.modules())
    assert all(parameter.requires_grad for parameter in method.encoder.parameters())
    after = method.encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_encoder_computes_in_the_precision_of_the_trainer_and_the_probes_do_not(watched: Make) -> None:
    engine, autocast, computed = watched(epochs=1, length=1), [], []

    def ask(examination: Examination) -> dict[str, float]:
        autocast.append((examination.maps.dtype, torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()))
        examination.subject.embed(examination.images)  # the precision can be entered again
        return {}

    engine.autocast_dtype, engine.state.device = torch.bfloat16, torch.device("cpu")
    convolution = next(module for module in engine.method.encoder.modules() if isinstance(module, nn.Conv2d))
    hook = convolution.register_forward_hook(lambda _module, _args, output: computed.append(output.dtype))
    monitor(Asking(ask)).attach(engine)
    engine.go()
    hook.remove()
    assert autocast == [(torch.float32, False, False)]
    assert computed == [torch.bfloat16] * 2


def test_it_looks_every_nth_epoch_and_at_the_last_and_old_figures_do_not_linger(watched: Make) -> None:
    engine, seen = watched(epochs=5, length=1), []
    monitor(interval=3).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    engine.go()
    assert seen == [{}, {}, {"anatomy/asking/one": 1.0}, {}, {"anatomy/asking/one": 1.0}]


def test_what_cannot_be_judged_is_left_out_and_said_once(watched: Make, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(examination: Examination) -> dict[str, float]:
        raise NotJudgedError("it needs landmarks.")

    probes = [Asking(refuse, "locality"), Asking(lambda _: {"r2": 0.5, "gap": float("nan")}, "position")]
    engine = watched(epochs=3, length=1)
    monitor(*probes).attach(engine)
    with caplog.at_level(logging.INFO):
        engine.go()
    assert engine.state.metrics == {"anatomy/position/r2": 0.5}
    assert caplog.text.count("anatomy: locality is not watched: it needs landmarks.") == 1


@pytest.mark.parametrize(
    ("images", "taken"), [(2, [0, 5]), (3, [0, 3, 6]), (10, list(range(10))), (16, list(range(10)))]
)
def test_images_are_spread_over_the_list_and_read_once_when_the_run_starts(
    watched: Make, images: int, taken: list[int]
) -> None:
    asked: list[int] = []

    def note(item: Mapping[str, Any]) -> Case:
        asked.append(int(Path(item["image"]).stem))
        return read(item)

    items = [{"image": f"{number}.png"} for number in range(10)]
    engine = watched(epochs=2, length=1)
    AnatomyMonitor(items, note, [Asking(one)], 32, images=images).attach(engine)
    engine.hook = lambda _: asked.append(-1)
    engine.go()
    assert asked == [*taken, -1, -1]


def broken(item: Mapping[str, Any]) -> Case:
    if item["image"] in ("1.png", "2.png"):
        raise OSError(f"{item['image']} cannot be read")
    return read(item)


def test_an_image_that_cannot_be_used_is_set_aside_and_too_many_end_the_run_before_its_first_step(
    watched: Make, tmp_path: Path
) -> None:
    rejects = RejectLog(tmp_path / "rejected.csv")
    counting = Asking(lambda examination: {"images": float(len(examination.cases))})
    options: dict[str, Any] = {"read": broken, "probes": [counting], "image_size": 32, "rejects": rejects}
    found = AnatomyMonitor(ITEMS[:1] + ITEMS[2:], **options).measure(watched().method)
    assert found == {"anatomy/asking/images": 2.0}
    assert "2.png cannot be read" in (tmp_path / "rejected.csv").read_text()
    engine = watched()
    AnatomyMonitor(ITEMS, **options).attach(engine)
    with pytest.raises(RuntimeError, match=r"2 of 4 radiographs cannot be used.*2\.png.*raise max_reject"):
        engine.go()
    assert engine.losses == []


def test_two_ranks_share_the_probes_and_have_the_figures_of_one(tmp_path: Path, watched: Make) -> None:
    expected = monitor(*light_probes(32)).measure(watched().method)

    def look(rank: int, folder: Path, make: Make) -> None:
        judged: list[str] = []

        def noting(probe: Probe) -> Probe:
            def ask(examination: Examination) -> dict[str, float]:
                judged.append(probe.name)
                return probe(examination).statistic(np.ones(len(examination.cases)))

            return Asking(ask, probe.name)

        engine = make(epochs=1, length=1)
        monitor(*(noting(probe) for probe in light_probes(32))).attach(engine)
        engine.go()
        assert engine.state.metrics == pytest.approx(expected, rel=1e-6)
        assert judged == [["warp", "compositionality"], ["position", "locality"]][rank]
        both: list[Any] = [None, None]
        dist.all_gather_object(both, engine.state.metrics)
        assert both[0] == both[1]

    on_two_ranks(tmp_path, look, watched)


def test_a_rank_that_fails_does_not_leave_the_other_waiting(tmp_path: Path, watched: Make) -> None:
    def look(rank: int, folder: Path, make: Make) -> None:
        engine = make()
        AnatomyMonitor(ITEMS, broken if rank == 1 else read, [Asking(one)], 32).attach(engine)
        told = "1 of 4 radiographs" if rank == 1 else "reading of the images for watching anatomy failed on rank 1"
        with pytest.raises(RuntimeError, match=f"{told}.*1.png cannot be read"):
            engine.go()
        dist.barrier()

    on_two_ranks(tmp_path, look, watched)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": 0}, "interval must be at least 1 epoch, got 0; leave the monitor out"),
        ({"images": 1}, "images must be at least 2, which are compared, got 1"),
        ({"items": ITEMS[:1]}, "at least 2 validation images, got 1; list more under 'validation'"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnatomyMonitor(**{"items": ITEMS, "read": read, "probes": [], "image_size": 32, **arguments})
