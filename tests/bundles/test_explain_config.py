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
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from monai_lamps.checkpoints import save_network_card
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder
from monai_lamps.tasks import EvidenceClassifier

Run = Callable[..., ConfigWorkflow]
BUNDLE = "radiograph_classification"
TINY: dict[str, Any] = {"occlusion_squares": 4, "curve_steps": 2, "bootstrap_draws": 5}


@pytest.fixture(scope="module")
def boxed(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labelled phantoms, whose first four test images have a box, or none."""
    folder = tmp_path_factory.mktemp("boxed") / "data"
    shutil.copytree(labelled.parent, folder)
    content = json.loads(labelled.read_text())
    for number, item in enumerate(content["test"][:4]):
        item["boxes"] = {"opacity": [[8, 10 + number, 12, 16]]} if number < 3 else {}
    (folder / "datalist.json").write_text(json.dumps(content))
    return folder / "datalist.json"


@pytest.fixture(scope="module")
def explain(run_task: Run, classification: Path) -> Run:
    """Run explain.json with tiny settings on the tiny classification."""

    def go(**overrides: Any) -> ConfigWorkflow:
        settings = {**TINY, "network_file": classification / "best.pt", **overrides}
        return run_task(BUNDLE, "explain.json", kind="infer", **settings)

    return go


def test_explanations_of_boxes_are_judged_and_everything_is_written(explain: Run, boxed: Path, tmp_path: Path) -> None:
    explain(datalist=boxed, output_dir=tmp_path)
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert (report["images"], report["images with truth"], report["section"]) == (6, 3, "test")
    assert (report["target"], report["reference"], report["synthetic"]) == ("opacity", "grad_cam", False)
    assert set(report["not judged"]) == {"anatomy", "attention_rollout", "evidence", "class_evidence"}
    auroc = report["figures"]["pixel_auroc"]
    assert list(auroc) == ["constant", "grad_cam", "grad_cam_pp", "occlusion"]
    assert auroc["constant"]["value"] == 0.5
    assert auroc["grad_cam"]["lower"] <= auroc["grad_cam"]["value"] <= auroc["grad_cam"]["upper"]
    for name in ("table.md", "table.csv", "report.html", "cases.csv"):
        assert (tmp_path / name).is_file()
    assert list((tmp_path / "pictures").glob("*.png"))
    with open(tmp_path / "cases.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert Path(row["image"]).is_file()


def test_masks_are_the_truth_where_there_are_no_boxes(explain: Run, labelled: Path, tmp_path: Path) -> None:
    explain(datalist=labelled, structures=["heart"], output_dir=tmp_path, images=3, others=2, curve_steps=0)
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert (report["images"], report["images with truth"], report["structures"]) == (3, 3, ["heart"])
    assert "deletion" not in report["figures"]


def test_synthetic_lesions_need_no_annotation_and_are_the_same_in_every_run(
    explain: Run, labelled: Path, tmp_path: Path
) -> None:
    for out in ("one", "two"):
        explain(dataset_dir=labelled.parent / "images", synthetic="true", images=4, output_dir=tmp_path / out)
    one, two = (json.loads((tmp_path / out / "metrics.json").read_text()) for out in ("one", "two"))
    assert one == two
    assert (one["images"], one["images with truth"], one["patients"]) == (8, 4, 4)


def test_a_broken_image_is_set_aside_and_no_other_counts_twice(explain: Run, boxed: Path, tmp_path: Path) -> None:
    shutil.copytree(boxed.parent, tmp_path / "data")
    broken = tmp_path / "data" / json.loads(boxed.read_text())["test"][5]["image"]
    broken.write_bytes(broken.read_bytes()[:60])
    explain(datalist=tmp_path / "data" / boxed.name, output_dir=tmp_path / "out")
    assert broken.name in (tmp_path / "out" / "rejected.csv").read_text()
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["images"] == 5


def test_a_segmentation_network_is_the_control_that_knows_anatomy_alone(
    explain: Run, labelled: Path, segmentation: Path, tmp_path: Path
) -> None:
    chosen = {"anatomy_network": segmentation / "best.pt", "anatomy_structures": ["heart"]}
    explain(datalist=labelled, structures=["heart"], output_dir=tmp_path, reference="anatomy", curve_steps=0, **chosen)
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert "anatomy" not in report["not judged"]
    auroc = report["figures"]["pixel_auroc"]
    assert list(auroc)[:2] == ["constant", "anatomy"]
    assert auroc["grad_cam"]["difference"] == pytest.approx(auroc["grad_cam"]["value"] - auroc["anatomy"]["value"])
    assert (report["anatomy_network"], report["anatomy_structures"]) == ("best.pt", ["heart"])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"anatomy_structures": ["liver"]}, "anatomy_structures got 'liver', expected some of"),
        ({"anatomy_network": "classification"}, "a network for classification, expected one for segmentation"),
        ({"anatomy_network": "", "anatomy_structures": ["heart"]}, "but no anatomy_network knows them"),
    ],
)
def test_an_anatomy_that_cannot_be_shown_is_refused_before_the_run(
    task_workflow: Run,
    classification: Path,
    segmentation: Path,
    boxed: Path,
    tmp_path: Path,
    chosen: dict[str, Any],
    message: str,
    said: Callable,
) -> None:
    files = {"": "", "segmentation": segmentation / "best.pt", "classification": classification / "best.pt"}
    network = files[chosen.get("anatomy_network", "segmentation")]
    settings = {"network_file": classification / "best.pt", "datalist": boxed, "output_dir": tmp_path}
    flow = task_workflow(BUNDLE, "explain.json", kind="infer", **settings, **{**chosen, "anatomy_network": network})
    with pytest.raises(Exception) as error:  # noqa: PT011  # MONAI wraps what an expression raises
        flow.initialize()
    assert message in said(error.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"target": "edema"}, "target got 'edema', expected the class to explain: opacity"),
        ({"reference": "other"}, "reference got 'other', expected one of the explainers constant, anatomy, grad_cam"),
        ({"reference": "evidence"}, "reference got 'evidence', which cannot be used here: the evidence map is read"),
        ({"reference": "anatomy"}, "reference got 'anatomy', which cannot be used here: where the organs lie"),
        ({"structures": ["liver"]}, "structures got 'liver', which no image has"),
        ({"section": "validation", "structures": ["opacity"]}, "structures got 'opacity', which no image has"),
        ({"network_file": "nowhere.pt"}, "no network card at|no network file at 'nowhere.pt'"),
        ({"thresholdd": 0.3}, "unknown override 'thresholdd': did you mean '--threshold'"),
        ({"datalist": ""}, "no data: give --dataset_dir"),
    ],
)
def test_what_the_user_mistyped_is_said(
    explain: Run, boxed: Path, tmp_path: Path, overrides: dict[str, Any], message: str, said: Callable
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011  # MONAI wraps what an expression raises
        explain(**{"output_dir": tmp_path, "datalist": boxed, **overrides})
    assert any(part in said(error.value) for part in message.split("|"))


def test_required_properties_are_there(task_workflow: Run, classification: Path, boxed: Path, tmp_path: Path) -> None:
    settings = {"network_file": classification / "best.pt", "datalist": boxed, "output_dir": tmp_path}
    flow = task_workflow(BUNDLE, "explain.json", kind="infer", **settings)
    flow.initialize()
    assert flow.check_properties() == []
    assert flow.network_def is flow.parser.get_parsed_content("task").network


def test_an_evidence_head_on_a_transformer_allows_all_explanations(
    explain: Run, boxed: Path, segmentation: Path, tmp_path: Path
) -> None:
    encoder = {"embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": 8, "position_cells": 4}
    torch.manual_seed(0)
    built = build_encoder("vit_tiny", **encoder)
    network = EvidenceNetwork(built, TokenDecoder(16, 8, width=16, depth=1, num_heads=2))
    classifier = EvidenceClassifier(network, 1)
    card = {
        "task": "classification",
        "encoder": built.config,
        "network": {"kind": "evidence_classifier", "classes": 1, "evidence": network.config},
        "names": ["opacity"],
        "image_size": 32,
        "normalization": {"mean": 0.5, "std": 0.25},
    }
    save_network_card(tmp_path, card)
    torch.save({"network": classifier.state_dict()}, tmp_path / "best.pt")
    own = {"network_file": tmp_path / "best.pt", "anatomy_network": segmentation / "best.pt"}
    explain(datalist=boxed, output_dir=tmp_path / "out", reference="evidence", **own)
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert report["not judged"] == {}
    assert len(report["figures"]["pixel_auroc"]) == 8
    assert report["figures"]["energy_inside"]["grad_cam"]["difference"] is not None
