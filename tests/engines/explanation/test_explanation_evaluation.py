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
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from monai_lamps.engines.explanation import ExplanationEvaluation, Judge
from monai_lamps.explanations import CannotExplainError, ConstantExplainer, GradCAMExplainer
from monai_lamps.metrics import Bootstrap
from monai_lamps.networks import build_encoder
from monai_lamps.tasks import Classification, LinearClassifier

Make = Callable[..., ExplanationEvaluation]


class Never:
    def __call__(self, network: nn.Module, images: torch.Tensor, class_index: int) -> torch.Tensor:
        raise CannotExplainError("it is impossible.")


class Truth:
    """The bright square itself, as wrong as ``shift`` px."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def __call__(self, network: nn.Module, images: torch.Tensor, class_index: int) -> torch.Tensor:
        return (images > images.amin() + 1e-3).float().roll(self.shift, dims=-1)


def _items(told: bool = True) -> list[dict[str, Any]]:
    items = []
    for number in range(6):
        image, mask = torch.zeros(2, 1, 32, 32)
        row = 4 * number
        image[:, row : row + 6, 4:12] = 0.5 + 0.05 * number
        if told and number < 4:
            mask[:, row : row + 6, 4:12] = 1
        items.append(
            {"image": image, "mask": mask, "annotated": torch.tensor([number < 5]), "name": f"{number}.png"}
            | {"patient": f"p{number // 2}"}
        )
    return items


def _values(report: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Every figure of every explanation that has one."""
    table = report["figures"].items()
    return {(f, name): e["value"] for f, row in table for name, e in row.items() if e["value"] is not None}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    torch.manual_seed(0)
    network = LinearClassifier(build_encoder("resnet18", stride=8, base_channels=4), 2)
    task = Classification(network, ["opacity", "mass"]).eval()

    def build(items: list[dict[str, Any]] | None = None, **changes: Any) -> ExplanationEvaluation:
        explainers = {"shifted": Truth(8), "truth": Truth(), "never": Never(), "grad_cam": GradCAMExplainer()}
        options: dict[str, Any] = {
            "explainers": {**explainers, "constant": ConstantExplainer()},
            "target": "mass",
            "output_dir": tmp_path,
            "judge": Judge(curve_steps=2),
            "bootstrap": Bootstrap(draws=20),
            "about": {"section": "test"},
        }
        return ExplanationEvaluation(task, data=DataLoader(items or _items(), batch_size=4), **{**options, **changes})

    return build


def test_explanations_are_told_apart_and_everything_is_written(make: Make, tmp_path: Path) -> None:
    report = make().run()
    assert report == json.loads((tmp_path / "metrics.json").read_text())
    assert (report["images"], report["images with truth"], report["patients"]) == (6, 4, 3)
    assert (report["target"], report["reference"], report["section"]) == ("mass", "shifted", "test")
    assert report["not judged"] == {"never": "it is impossible."}
    auroc = report["figures"]["pixel_auroc"]
    assert auroc["truth"]["value"] == 1
    assert auroc["constant"] == {**auroc["constant"], "value": 0.5, "lower": 0.5, "upper": 0.5}
    assert auroc["truth"]["difference"] == pytest.approx(1 - auroc["shifted"]["value"])
    assert report["figures"]["pointing_game"]["truth"]["value"] == 1
    assert report["better"]["deletion"] == "less"
    assert {"insertion", "evidence_correlation"} <= set(report["figures"])
    with open(tmp_path / "cases.csv", newline="") as file:
        cases = list(csv.DictReader(file))
    assert len(cases) == 4 * 6
    assert {row["explanation"] for row in cases} == {"shifted", "truth", "grad_cam", "constant"}
    assert [row["pixel_auroc"] != "" for row in cases[:6]] == [True] * 4 + [False] * 2
    with open(tmp_path / "table.csv", newline="") as file:
        assert {row["explanation"] for row in csv.DictReader(file)} == {"shifted", "truth", "grad_cam", "constant"}
    table = (tmp_path / "table.md").read_text()
    assert "Class 'mass'; 6 images of 3 patients, 4 of which show where it is" in table
    assert "never is not judged: it is impossible." in table
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") > 2
    assert (tmp_path / "pictures" / "best_of_grad_cam.png").is_file()


def test_a_second_run_finds_the_same(make: Make, tmp_path: Path) -> None:
    assert make().run() == make(output_dir=tmp_path / "again").run()


def test_probabilities_are_those_of_the_task(make: Make, tmp_path: Path) -> None:
    evaluation = make(explainers={"constant": ConstantExplainer()})
    evaluation.run()
    expected = [float(evaluation.task.predict(item["image"][None])[0, 1]) for item in _items()]
    with open(tmp_path / "cases.csv", newline="") as file:
        found = [float(row["probability"]) for row in csv.DictReader(file)]
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_classifier_that_still_learns_is_judged_in_eval_mode_and_left_as_it_was(make: Make, tmp_path: Path) -> None:
    evaluation = make()
    expected = evaluation.run()
    evaluation.task.train()
    before = {name: value.clone() for name, value in evaluation.task.state_dict().items()}
    assert evaluation.run() == expected
    assert evaluation.task.network.training
    assert all(torch.equal(value, before[name]) for name, value in evaluation.task.state_dict().items())


def test_an_item_that_stands_in_for_another_counts_once(make: Make, tmp_path: Path) -> None:
    items = [{**item, "index": number} for number, item in enumerate(_items())]
    alone = make(items[:1] + items[2:]).run()
    again = make([items[0], items[4], *items[2:]], output_dir=tmp_path / "again").run()
    assert again["images"] == alone["images"] == 5
    assert _values(again) == pytest.approx(_values(alone), rel=1e-5)
    with open(tmp_path / "again" / "cases.csv", newline="") as file:
        cases = [case for case in csv.DictReader(file) if case["explanation"] == "truth"]
    assert sorted(case["image"] for case in cases) == ["0.png", "2.png", "3.png", "4.png", "5.png"]
    assert [case["index"] for case in cases] == ["0", "1", "2", "3", "5"]


def test_truth_that_is_lost_in_resizing_is_counted(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    items = _items()
    items[0]["mask"] = items[0]["mask"] * 0.3
    with caplog.at_level(logging.WARNING):
        assert make(items, explainers={"constant": ConstantExplainer()}).run()["images with truth"] == 3
    assert "the truth of 1 images is too small to be seen" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "edema"}, "target got 'edema', expected the class to explain: opacity, mass"),
        ({"target": ""}, "target got '', expected the class to explain: opacity, mass"),
        ({"reference": "other"}, "reference got 'other', expected one of the explainers shifted, truth"),
        ({"explainers": {}}, "expected one of the explainers \\(none given\\)"),
    ],
)
def test_what_is_unknown_is_refused_at_once(make: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_where_nothing_can_be_compared_it_says_why(make: Make) -> None:
    with pytest.raises(ValueError, match="reference got 'never', which cannot be used here: it is impossible"):
        make(reference="never").run()
    with pytest.raises(ValueError, match="no image shows where anything is"):
        make(_items(told=False)).run()
