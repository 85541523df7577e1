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

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.bundle import annotated_phantoms
from monai_lamps.comparison import EPOCHS, Plan, narrowed, read_plan, results
from monai_lamps.comparison.__main__ import main
from monai_lamps.tasks import Segmentation


@pytest.fixture(scope="module")
def plan_file(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison in seconds: tiny networks on drawn thoraces."""
    folder = tmp_path_factory.mktemp("comparison")
    datalist = annotated_phantoms(folder / "phantoms", 8, 48)
    content = {
        "bundle": str(root / "bundles" / "radiograph_segmentation"),
        "common": {
            "datalist": str(datalist), "image_size": 32, "batch_size": 2, "steps": 4, "epoch_steps": 2,
            "num_workers": 0, "device": "cpu", "precision": "fp32", "log_interval": 1,
            "architecture": "resnet18", "architecture_args": {"base_channels": 4},
        },
        "encoders": {"tuned": {}, "frozen": {"frozen": True}},
        "shots": [2],
        "seeds": 2,
        "figures": ["validation/dice/heart", "again/dice/heart"],
        "evaluations": {"again": {"section": "validation"}},
    }  # fmt: skip
    path = folder / "plan.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def out(plan_file: Path) -> Path:
    """The comparison, made in one go."""
    folder = plan_file.parent / "out"
    assert main([str(plan_file), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def figures(plan_file: Path) -> Callable[[Path], dict[str, dict[str, float]]]:
    """What every finished run in a folder reports on its validation images."""

    def read(folder: Path) -> dict[str, dict[str, float]]:
        outcomes, _ = results(read_plan(plan_file), folder)
        kept = ("validation/", "again/")
        return {
            found.run.title: {name: value for name, value in found.figures.items() if name.startswith(kept)}
            for found in outcomes
            if found.state == "finished"
        }

    return read


def test_the_bundle_is_trained_and_judged_for_every_run(out: Path, figures: Callable[..., Any]) -> None:
    found = figures(out)
    assert len(found) == 4
    for values in found.values():
        assert 0 <= values["validation/dice/heart"] <= 1
        assert 0 <= values["again/dice/heart"] <= 1
    assert "4 of 4 runs finished" in (out / "table.md").read_text()
    assert not list(out.rglob("checkpoints"))


def test_both_initialisations_see_the_same_images(out: Path) -> None:
    metrics = [json.loads(path.read_text()) for path in out.rglob("metrics.json")]
    assert [each["training_images"] for each in metrics] == [2] * 4
    logs = {path.parent.name: path for path in out.rglob("run.log")}
    assert set(logs) == {"seed-0", "seed-1"}


def test_an_interrupted_comparison_goes_on_to_the_same_figures(
    plan_file: Path, out: Path, tmp_path: Path, figures: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, forward = [0], Segmentation.forward

    def interrupted(self: Segmentation, *arguments: Any, **keywords: Any) -> Any:
        steps[0] += self.training
        if self.training and steps[0] == 7:  # the third step of the second run
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, *arguments, **keywords)

    monkeypatch.setattr(Segmentation, "forward", interrupted)
    command = [str(plan_file), "--out", str(tmp_path / "out"), "--only", "seed=0"]
    assert main(command) == 85
    assert main(command) == 0
    assert steps[0] == 8  # no step twice
    whole = figures(out)
    again = figures(tmp_path / "out")
    assert sorted(again) == ["frozen, 2 images, seed 0", "tuned, 2 images, seed 0"]
    assert {title: whole[title] for title in again} == again


PLANS = sorted((Path(__file__).resolve().parents[2] / "comparisons").glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_that_come_along_are_sound(path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    plan: Plan = read_plan(path)
    assert plan.epoch in EPOCHS
    least = plan.amounts[0]
    assert narrowed(plan, [f"{least.id}={least.value:g}"]).amounts == (least,)
    assert plan.test == "paired_t"


@pytest.mark.parametrize("kind", ["few_shot", "ablation"])
def test_the_plans_of_coda_differ_in_the_task_alone(kind: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    first, second = (read_plan(root / "comparisons" / f"coda_{kind}_{task}.json") for task in ("tb", "jsrt"))
    assert first.encoders == second.encoders
    assert (first.baseline, first.amounts, first.seeds) == (second.baseline, second.amounts, second.seeds)
