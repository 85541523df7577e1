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
"""A stopped run of a pretraining bundle goes on to the same bits; runs that do not belong together are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

Run = Callable[..., ConfigWorkflow]
#: what is compared, bit for bit
PARTS = ("method", "optimizer", "trainer")
#: four epochs; of Adam two stages of two, with the queue emptied between them
FOUR: dict[str, dict[str, Any]] = {
    "lamps": {"epochs": 4},
    "adam": {"stage_epochs": 2, "reset_queue": "true"},
    "coda": {"epochs": 4},
    "radlas": {"epochs": 4},
}
#: steps of an epoch, steps to stop after (within an epoch, at the end of the second one, and in the second half), and
#: what must be among the saved
STEPS = {"lamps": 5, "adam": 5, "coda": 4, "radlas": 5}
STOPS = {"adam": (3, 10, 13), "coda": (3, 8, 11), "radlas": (3, 10, 13)}
SAVED = {"lamps": set(), "adam": {"queue.keys", "queue.pointer"}, "coda": {"intra_loss.center"}, "radlas": set()}


@pytest.fixture(scope="module")
def straight(run: Run, method: str, data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs in one go."""
    out = tmp_path_factory.mktemp("straight")
    run(**data, output_dir=out, **FOUR[method])
    return out


@pytest.mark.parametrize(
    ("method", "stop"),
    [
        pytest.param("lamps", Events.EPOCH_COMPLETED(once=2), id="lamps-epoch 2"),
        *(
            pytest.param(name, Events.ITERATION_COMPLETED(once=step), id=f"{name}-step {step}")
            for name in STOPS
            for step in STOPS[name]
        ),
    ],
    indirect=["method"],
)
def test_a_stopped_run_continues_to_the_same_bits(
    run: Run,
    workflow: Run,
    straight: Path,
    method: str,
    data: dict[str, Any],
    tmp_path: Path,
    assert_same_end: Callable,
    stop: Any,
) -> None:
    flow = workflow(**data, output_dir=tmp_path, **FOUR[method])
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    assert trainer.state.epoch_length == STEPS[method]
    trainer.add_event_handler(stop, trainer.terminate)
    flow.run()
    assert trainer.state.iteration < 4 * STEPS[method]
    run(**data, output_dir=tmp_path, **FOUR[method], num_workers=2)
    assert_same_end(straight, tmp_path, PARTS)
    newest = max((tmp_path / "checkpoints").glob("*.pt"))
    assert SAVED[method] <= torch.load(newest, weights_only=True)["method"].keys()


@pytest.mark.parametrize("method", ["lamps"], indirect=True)
def test_a_finished_run_is_not_trained_again(
    workflow: Run, copy_of_trained: Path, trained: Path, data: dict[str, Any], assert_same_end: Callable
) -> None:
    flow = workflow(**data, output_dir=copy_of_trained)
    flow.initialize()
    steps: list[int] = []
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda: steps.append(trainer.state.iteration))
    flow.run()
    flow.finalize()
    assert steps == []
    assert_same_end(trained, copy_of_trained, PARTS)


@pytest.mark.parametrize(
    ("method", "overrides", "named"),
    [
        ("lamps", {"encoder_args": {"stride": 8, "base_channels": 8}}, ("encoder", "base_channels")),
        ("lamps", {"curriculum": "joint"}, ("curriculum",)),
        ("lamps", {"validation_share": 0.3}, ("validation 0.1 (now 0.3)",)),
        ("adam", {"granularities": [0, 4]}, ("curriculum",)),
        ("coda", {"organs": "folder"}, ("organs",)),
        ("radlas", {"lesion_kinds": ["opacity"]}, ("lesions",)),
    ],
    indirect=["method"],
)
def test_runs_with_other_settings_are_not_continued(
    run: Run,
    copy_of_trained: Path,
    data: dict[str, Any],
    said: Callable[[BaseException], str],
    overrides: dict[str, Any],
    named: tuple[str, ...],
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        run(**data, output_dir=copy_of_trained, **overrides)
    for word in named:
        assert word in said(error.value)
