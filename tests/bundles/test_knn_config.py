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
from monai.bundle import ConfigWorkflow
from torch.nn.functional import interpolate, normalize

from monai_lamps.bundle import pick_shots, starting_encoder
from monai_lamps.comparison.__main__ import main
from monai_lamps.data import load_datalist, read_radiograph
from monai_lamps.tasks import knn_votes

Run = Callable[..., ConfigWorkflow]
BUNDLE = "radiograph_classification"
ENCODER: dict[str, Any] = {
    "architecture": "resnet18",
    "architecture_args": {"stride": 8, "base_channels": 4},
    "image_size": 32,
}


@pytest.fixture
def judge(run_task: Run, labelled: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run knn.json on the labelled phantoms with a tiny random encoder; what figures.json holds."""

    def go(**overrides: Any) -> dict[str, Any]:
        settings = {**ENCODER, "datalist": labelled, "bootstrap_draws": 20, "output_dir": tmp_path / "out", **overrides}
        run_task(BUNDLE, "knn.json", kind="infer", **settings)
        report: dict[str, Any] = json.loads((tmp_path / "out" / "figures.json").read_text())
        return report

    return go


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _embedded(images: list[str]) -> torch.Tensor:
    pixels = torch.stack([torch.from_numpy(read_radiograph(image)[0])[None] for image in images])
    start = starting_encoder("none", ENCODER["architecture"], ENCODER["architecture_args"], seed=0)
    with torch.no_grad():
        tokens = start.encoder.eval().embed((interpolate(pixels, (32, 32), mode="area") - 0.5056) / 0.252)
    return normalize(tokens[1], dim=1)


def test_nothing_is_trained_and_the_same_is_written_as_of_an_evaluation(
    judge: Callable, labelled: Path, tmp_path: Path
) -> None:
    report = judge(neighbours=5, temperature=0.1, section="test")
    assert (report["cases"], report["section"], report["training_images"]) == (6, "test", 12)
    assert (report["neighbours"], report["temperature"], report["encoder"]) == (5, 0.1, {"encoder": "none"})
    assert report["figures"]["auroc"]["lower"] <= report["figures"]["auroc"]["value"]
    assert {path.name for path in (tmp_path / "out" / "pictures").glob("*.png")} == {"roc.png", "reliability.png"}
    training, cases = load_datalist(labelled), _rows(tmp_path / "out" / "cases.csv")
    labels = torch.tensor([[float(item["labels"]["opacity"])] for item in training])
    queries, embeddings = (_embedded([row["image"] for row in rows]) for rows in (cases, training))
    found = torch.tensor([[float(row["probability/opacity"])] for row in cases])
    torch.testing.assert_close(found, knn_votes(queries, embeddings, labels, 5, 0.1), rtol=1e-4, atol=1e-4)
    assert not list((tmp_path / "out").rglob("*.pt"))


def test_few_shots_are_those_that_a_training_has(judge: Callable, labelled: Path, tmp_path: Path) -> None:
    assert judge(shots=3, shot_seed=1, neighbours=1)["training_images"] == 3
    picked = pick_shots(load_datalist(labelled), 3, seed=1)
    cases = _rows(tmp_path / "out" / "cases.csv")
    nearest = (_embedded([row["image"] for row in cases]) @ _embedded([item["image"] for item in picked]).T).argmax(1)
    expected = [picked[number]["labels"]["opacity"] for number in nearest.tolist()]
    assert [float(row["probability/opacity"]) for row in cases] == pytest.approx(expected)
    assert judge(share=0.5)["training_images"] == 6


def test_classes_of_which_each_image_has_one_share_the_votes(judge: Callable, labelled: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled.parent, tmp_path / "data")
    content = json.loads(labelled.read_text())
    for section in ("training", "validation"):
        for item in content[section]:
            item["labels"] = {"normal": 1 - item["labels"]["opacity"], **item["labels"]}
    (tmp_path / "data" / "datalist.json").write_text(json.dumps(content))
    report = judge(datalist=tmp_path / "data" / "datalist.json", multi_class="true")
    assert 0 <= report["figures"]["accuracy"]["value"] <= 1
    for row in _rows(tmp_path / "out" / "cases.csv"):
        assert float(row["probability/normal"]) + float(row["probability/opacity"]) == pytest.approx(1, abs=1e-5)


def test_an_unreadable_training_image_is_set_aside_and_does_not_vote(
    judge: Callable, labelled: Path, tmp_path: Path
) -> None:
    shutil.copytree(labelled.parent, tmp_path / "data")
    broken = Path(load_datalist(tmp_path / "data" / "datalist.json")[2]["image"])
    broken.write_bytes(b"broken")
    report = judge(datalist=tmp_path / "data" / "datalist.json", max_reject=0.2)
    assert report["training_images"] == 11
    assert broken.name in (tmp_path / "out" / "rejected.csv").read_text()


def test_a_comparison_ranks_encoders_by_their_neighbours(root: Path, labelled: Path, tmp_path: Path) -> None:
    plan = {
        "bundle": str(root / "bundles" / BUNDLE),
        "config": ["knn.json"],
        "common": {
            **ENCODER, "datalist": str(labelled), "num_workers": 0, "device": "cpu", "bootstrap_draws": 5,
            "section": "test",
        },
        "encoders": {"narrow": {}, "wide": {"architecture_args": {"stride": 8, "base_channels": 8}}},
        "shots": [6],
        "seeds": 2,
        "figures": "test/auroc",
    }  # fmt: skip
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert main([str(tmp_path / "plan.json"), "--out", str(tmp_path / "comparison")]) == 0
    assert "4 of 4 runs finished" in (tmp_path / "comparison" / "table.md").read_text()
    metrics = [json.loads(path.read_text()) for path in (tmp_path / "comparison").rglob("metrics.json")]
    assert [each["training_images"] for each in metrics] == [6] * 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"datalist": ""}, "no labelled data: give --datalist FILE"),
        ({"section": "training"}, "section got 'training', whose images are learned from; expected validation or test"),
        ({"section": "tests"}, "section got 'tests', expected one of"),
        ({"classes": ["edema"]}, "12 of 12 training images have no label 'edema'"),
        ({"classes": ["edema"], "missing": "unknown"}, "none of 12 training images shows edema"),
        ({"shots": 20}, "shots got 20, but there are 12 labelled training images"),
        ({"neighbours": 0}, "neighbours must be at least 1, got 0"),
        ({"temperature": 0}, "temperature must be above 0, got 0"),
        ({"image_size": 36}, "image_size got 36, expected a multiple of the encoder's cell"),
        ({"encoder": "nowhere.pt"}, "nowhere.pt"),
        ({"neighbors": 5}, "unknown override 'neighbors': did you mean '--neighbours'"),
    ],
)
def test_wrong_use_is_named_with_its_mend(
    task_workflow: Run, labelled: Path, tmp_path: Path, overrides: dict[str, Any], message: str, said: Callable
) -> None:
    settings = {**ENCODER, "datalist": labelled, "output_dir": tmp_path, **overrides}
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        task_workflow(BUNDLE, "knn.json", kind="infer", **settings).initialize()
    assert re.search(message, said(error.value))


def test_required_properties_are_there(task_workflow: Run, labelled: Path, tmp_path: Path) -> None:
    flow = task_workflow(BUNDLE, "knn.json", kind="infer", datalist=labelled, output_dir=tmp_path, **ENCODER)
    flow.initialize()
    assert flow.check_properties() == []
