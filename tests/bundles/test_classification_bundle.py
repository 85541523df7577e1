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

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

from monai_lamps.checkpoints import load_network, read_network_card
from monai_lamps.data import build_cache, read_radiograph
from monai_lamps.tasks import CropsInferer

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
BUNDLE = "radiograph_classification"
CONFIGS = ROOT / "bundles" / BUNDLE / "configs"
PROTOCOLS = sorted((ROOT / "configs" / "protocols").glob("*.json"))


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _relabelled(labelled: Path, folder: Path, change: Callable[[str, int, dict[str, Any]], Any]) -> Path:
    """A copy of the data set whose labels are what ``change(section, number, labels)`` returns."""
    shutil.copytree(labelled.parent, folder)
    content = json.loads(labelled.read_text())
    for section in ("training", "validation", "test"):
        for number, item in enumerate(content[section]):
            item["labels"] = change(section, number, item["labels"])
    (folder / "datalist.json").write_text(json.dumps(content))
    return folder / "datalist.json"


def test_a_finished_run_leaves_everything_that_is_promised(classification: Path, metrics: Callable) -> None:
    for name in ("best.pt", "last.pt", "network.json", "metrics.json", "history.csv", "rejected.csv"):
        assert (classification / name).is_file(), name
    drawn = {path.name for path in (classification / "pictures").glob("epoch=0002_*.png")}
    assert drawn == {"epoch=0002_roc.png", "epoch=0002_reliability.png"}
    cases = _rows(classification / "cases_validation.csv")
    assert len(cases) == 6
    assert {row["label/opacity"] for row in cases} == {"0.0", "1.0"}
    report = metrics(classification)
    assert report["finished"]
    assert 0 <= report["best validation/auroc"] <= 1
    assert report["figures"]["loss/bce"]["last"] > 0


def test_two_and_two_epochs_are_four(
    run_task: Run, task_workflow: Run, tmp_path: Path, assert_same_end: Callable
) -> None:
    settings = {"epochs": 4, "dropout": 0.2, "layer_decay": 0.7}
    run_task(BUNDLE, output_dir=tmp_path / "straight", **settings)
    flow = task_workflow(BUNDLE, output_dir=tmp_path / "halved", **settings)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda: trainer.terminate())
    flow.run()
    run_task(BUNDLE, output_dir=tmp_path / "halved", **settings)
    assert_same_end(tmp_path / "straight", tmp_path / "halved")


def test_classes_of_which_each_image_has_one_are_learned_together(
    run_task: Run, labelled: Path, tmp_path: Path, metrics: Callable
) -> None:
    one = {0: {"normal": 1, "opacity": 0}, 1: {"normal": 0, "opacity": 1}}
    datalist = _relabelled(labelled, tmp_path / "data", lambda section, number, labels: one[labels["opacity"]])
    run_task(BUNDLE, output_dir=tmp_path / "out", datalist=datalist, multi_class="true", key_figure="accuracy")
    report, card = metrics(tmp_path / "out"), read_network_card(tmp_path / "out")
    assert report["figures"]["loss/ce"]["last"] > 0
    assert (card["names"], card["multi_class"]) == (["normal", "opacity"], True)
    run_task(BUNDLE, "inference.json", kind="infer", datalist=datalist, network_file=tmp_path / "out" / "best.pt",
             output_dir=tmp_path / "answers")  # fmt: skip
    for row in _rows(tmp_path / "answers" / "probabilities.csv"):
        assert float(row["normal"]) + float(row["opacity"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("preset", PROTOCOLS, ids=lambda path: path.stem)
def test_every_protocol_trains(run_task: Run, tmp_path: Path, preset: Path, metrics: Callable) -> None:
    settings = json.loads(preset.read_text())
    small = {"epochs": 1, "batch_size": 4, "steps": min(settings.get("steps", 0), 2)}
    run_task(BUNDLE, "train.json", preset, output_dir=tmp_path, **{**settings, **small})
    assert metrics(tmp_path)["finished"]


def test_quickstart_runs_on_built_in_data(run_task: Run, tmp_path: Path, metrics: Callable) -> None:
    settings = json.loads((CONFIGS / "quickstart.json").read_text())
    tiny = {"phantoms": 16, "phantom_size": 32, "image_size": 32, "steps": 2, "epoch_steps": 1}
    kept = {key: settings[key] for key in settings if key not in (*tiny, "output_dir")}
    kept["architecture_args"] = {"stride": 8, "base_channels": 4}
    run_task(BUNDLE, "train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **tiny})
    assert metrics(tmp_path)["finished"]
    assert "validation/auroc/breast_shadows" in metrics(tmp_path)["figures"]
    assert len(list((tmp_path / "phantoms" / "images").glob("*.png"))) == 16


def test_a_cache_alone_is_enough_and_gives_its_images(
    run_task: Run, labelled: Path, tmp_path: Path, metrics: Callable, said: Callable
) -> None:
    build_cache(labelled, tmp_path / "cache", size=40, workers=0)
    run_task(BUNDLE, output_dir=tmp_path / "out", datalist="", cache=tmp_path / "cache")
    assert metrics(tmp_path / "out")["training_images"] == 12
    with pytest.raises(Exception) as error:  # noqa: PT011
        run_task(BUNDLE, output_dir=tmp_path / "large", datalist="", cache=tmp_path / "cache", image_size=64)
    assert "needs 64 px; make another with --size 64" in said(error.value)


@pytest.mark.parametrize("crops", [False, True])
def test_evaluation_writes_figures_with_intervals_cases_and_pictures(
    run_task: Run, classification: Path, labelled: Path, tmp_path: Path, crops: bool
) -> None:
    run_task(BUNDLE, "evaluate.json", kind="infer", datalist=labelled, network_file=classification / "best.pt",
             output_dir=tmp_path, bootstrap_draws=20, crops=crops)  # fmt: skip
    report = json.loads((tmp_path / "figures.json").read_text())
    assert (report["cases"], report["section"]) == (6, "test")
    assert report["figures"]["auroc"]["lower"] <= report["figures"]["auroc"]["value"]
    assert ("loss/bce" in report["figures"]) != crops
    assert {path.name for path in (tmp_path / "pictures").glob("*.png")} == {"roc.png", "reliability.png"}
    case = _rows(tmp_path / "cases.csv")[0]
    pixels = torch.from_numpy(read_radiograph(case["image"])[0])[None, None]
    side = 37 if crops else 32  # 32 * 8 / 7
    images = (torch.nn.functional.interpolate(pixels, (side, side), mode="area") - 0.5056) / 0.252
    network = load_network(classification / "best.pt")
    with torch.no_grad():
        answer = CropsInferer(32)(images, lambda x: network(x).sigmoid()) if crops else network(images).sigmoid()
    assert float(case["probability/opacity"]) == pytest.approx(float(answer), abs=1e-5)


def test_inference_writes_a_probability_for_every_readable_file(
    run_task: Run, classification: Path, labelled: Path, tmp_path: Path
) -> None:
    shutil.copytree(labelled.parent / "images", tmp_path / "data")
    (tmp_path / "data" / "broken.png").write_bytes(b"broken")
    run_task(BUNDLE, "inference.json", kind="infer", dataset_dir=tmp_path / "data",
             network_file=classification / "best.pt", output_dir=tmp_path / "out", crops="true")  # fmt: skip
    rows = _rows(tmp_path / "out" / "probabilities.csv")
    assert [Path(row["image"]).name for row in rows] == [f"thorax_{number:05d}.png" for number in range(24)]
    assert all(0 < float(row["opacity"]) < 1 for row in rows)
    assert "broken.png" in (tmp_path / "out" / "index" / "rejected.csv").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"datalist": ""}, "no labelled data: give --datalist FILE"),
        ({"classes": ["edema"]}, "12 of 12 training images have no label 'edema'.*which has opacity"),
        ({"classes": ["edema"], "missing": "unknown"}, "none of 12 training images shows edema"),
        ({"classes": []}, "classes got \\[\\], expected a list of names"),
        ({"shots": 20}, "shots got 20, but there are 12 labelled training images"),
        ({"share": 0.0}, "share 0.0, expected shots >= 0"),
        ({"multi_class": "maybe"}, "multi_class got 'maybe', expected true or false"),
        ({"dropout": 1.5}, "dropout must be a share"),
        ({"steps": -1}, "steps got -1, expected at least 0"),
        ({"cache": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_use_is_named_with_its_mend(
    task_workflow: Run, tmp_path: Path, overrides: dict[str, Any], message: str, said: Callable
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        task_workflow(BUNDLE, output_dir=tmp_path, **overrides).initialize()
    assert re.search(message, said(error.value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda section, number, labels: {"opacity": 0}, "none of 12 training images shows opacity"),
        (
            lambda section, number, labels: labels if section == "training" else {"opacity": 1},
            "no class of opacity has both a positive and a negative image among the 6 of validation",
        ),
        (
            lambda section, number, labels: {**labels, "other": 1},
            "has the classes \\['opacity', 'other'\\], expected exactly one",
        ),
        (lambda section, number, labels: {"opacity": 7}, "label 'opacity' is 7; expected 0, 1"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused_before_the_run(
    task_workflow: Run, labelled: Path, tmp_path: Path, change: Callable, message: str, said: Callable
) -> None:
    datalist = _relabelled(labelled, tmp_path / "data", change)
    with pytest.raises(Exception) as error:  # noqa: PT011
        task_workflow(
            BUNDLE, output_dir=tmp_path / "out", datalist=datalist, multi_class="other" in message
        ).initialize()
    assert re.search(message, said(error.value))


def test_a_network_of_another_task_is_refused_by_its_size(
    task_workflow: Run, classification: Path, labelled: Path, tmp_path: Path, said: Callable
) -> None:
    shutil.copytree(classification, tmp_path / "mixed")
    card = json.loads((classification / "network.json").read_text())
    card["network"]["classes"] = 2
    (tmp_path / "mixed" / "network.json").write_text(json.dumps(card))
    flow = task_workflow(
        BUNDLE, "inference.json", kind="infer", datalist=labelled, output_dir=tmp_path,
        network_file=tmp_path / "mixed" / "best.pt",
    )  # fmt: skip
    with pytest.raises(Exception) as error:  # noqa: PT011
        flow.initialize()
    assert "do not fit the network of" in said(error.value)
