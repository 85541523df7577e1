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
from torch import nn

from monai_lamps.bundle import body_part_datalist, judged_encoders, reference_encoder
from monai_lamps.checkpoints import save_encoder
from monai_lamps.networks import build_encoder

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "bundles" / "anatomy_evaluation" / "configs"
PROPERTIES = {
    "locality",
    "compositionality",
    "symmetry",
    "scale",
    "position",
    "warp",
    "landmark transfer",
    "mask transfer",
    "registration",
}
TINY: dict[str, Any] = {
    "section": "training",
    "image_size": 32,
    "patch_size": 16,
    "templates": 2,
    "registration_pairs": 2,
    "thresholds": [4, 8],
    "bootstrap_draws": 5,
}


def _encoder_file(path: Path, base_channels: int = 4) -> Path:
    torch.manual_seed(3)
    card = {"image_size": [32, 32], "normalization": {"mean": 0.4, "std": 0.2}, "method": "test", "epochs": 7}
    return save_encoder(path, build_encoder("resnet18", stride=8, base_channels=base_channels), card)


@pytest.fixture(scope="module")
def evaluate(run_task: Run, labelled: Path) -> Run:
    """Run the bundle with tiny settings on the labelled phantoms."""

    def go(*configs: str | Path, **overrides: Any) -> ConfigWorkflow:
        settings = {**TINY, "datalist": labelled, **overrides}
        return run_task("anatomy_evaluation", "evaluate.json", *configs, kind="infer", **settings)

    return go


@pytest.fixture(scope="module")
def judged(evaluate: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of an evaluation of a file, its floor and a network of one's own."""
    out = tmp_path_factory.mktemp("judged")
    own = {"_target_": "torch.nn.PixelUnshuffle", "downscale_factor": 8}
    encoders = {"file": str(_encoder_file(out / "encoder.pt")), "random": "none", "pixels": own}
    evaluate(output_dir=out, encoders=encoders)
    return out


def test_an_evaluation_leaves_everything_that_is_promised(judged: Path) -> None:
    report = json.loads((judged / "metrics.json").read_text())
    assert {figure.split("/")[0] for figure in report["figures"]} == PROPERTIES
    assert (report["images"], report["patients"], report["reference"]) == (12, 12, "random")
    assert set(report["not judged"]) == {"decomposability", "organs"}  # all are of the chest
    assert report["encoders"]["file"]["epochs"] == 7
    assert report["encoders"]["random"] == {"encoder": "none", "architecture": "resnet18"}
    assert report["encoders"]["pixels"] == {"encoder": "PixelUnshuffle"}
    for figure, entries in report["figures"].items():
        assert set(entries) == {"file", "random", "pixels"}, figure
        assert figure in report["better"]
    with open(judged / "table.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(report["figures"])
    assert "| locality/silhouette | more |" in (judged / "table.md").read_text()
    assert (judged / "report.html").read_text().count("data:image/png;base64,") > 20
    assert len(list((judged / "pictures").glob("*.png"))) > 20


def test_a_second_evaluation_finds_the_same(judged: Path, evaluate: Run, tmp_path: Path) -> None:
    evaluate(output_dir=tmp_path, encoders={"file": str(judged / "encoder.pt"), "random": "none"})
    first, second = (json.loads((folder / "metrics.json").read_text())["figures"] for folder in (judged, tmp_path))
    for figure, entries in second.items():
        for name, entry in entries.items():
            assert entry == first[figure][name], (figure, name)


def test_centering_is_a_switch(judged: Path, evaluate: Run, tmp_path: Path) -> None:
    evaluate(output_dir=tmp_path, encoders={"file": str(judged / "encoder.pt"), "random": "none"}, center="true")
    plain, centered = (json.loads((folder / "metrics.json").read_text()) for folder in (judged, tmp_path))
    assert (plain["center"], centered["center"]) == (False, True)
    figure = "compositionality/control_mean_4"
    assert centered["figures"][figure]["file"]["value"] < plain["figures"][figure]["file"]["value"]


def test_quickstart_runs_on_built_in_data(run_task: Run, tmp_path: Path) -> None:
    settings = json.loads((CONFIGS / "quickstart.json").read_text())
    drawn = {key: settings[key] for key in ("datalist", "landmarks")}
    tiny = {
        **TINY,
        "phantoms": 8,
        "phantom_size": 32,
        "encoders": {"random": "none"},
        "architecture_args": {"stride": 8, "base_channels": 4},
    }
    out = tmp_path / "out"
    run_task(
        "anatomy_evaluation", "evaluate.json", "quickstart.json", kind="infer", output_dir=out, **{**drawn, **tiny}
    )
    report = json.loads((out / "metrics.json").read_text())
    assert (report["images"], report["landmarks"]) == (4, "landmarks.json")
    assert {figure.split("/")[0] for figure in report["figures"]} == PROPERTIES


@pytest.fixture(scope="module")
def body_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of five small radiographs of every drawn body part."""
    return body_part_datalist(tmp_path_factory.mktemp("body_parts"), 5, 32)


def test_organs_are_judged_where_the_datalist_names_them(evaluate: Run, body_parts: Path, tmp_path: Path) -> None:
    encoders = {"pixels": {"_target_": "torch.nn.PixelUnshuffle", "downscale_factor": 8}}
    organs = [{"_target_": "monai_lamps.engines.anatomy.OrganProbe", "unseen": "@unseen"}]
    shared = {"datalist": body_parts, "encoders": encoders, "landmarks": "none", "probes": organs, "unseen": ["hand"]}
    evaluate(output_dir=tmp_path / "all", images=0, **shared)
    evaluate(output_dir=tmp_path / "few", images=12, **shared)
    everything, few = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("all", "few"))
    assert few["images"] == 12 < everything["images"]
    for report in (everything, few):
        assert {"organs/map", "organs/silhouette", "organs/unseen_knn_accuracy"} <= set(report["figures"])
        assert report["unseen"] == ["hand"]
    named = {figure for figure in everything["figures"] if figure.startswith("organs/knn_accuracy/")}
    assert named == {figure for figure in few["figures"] if figure.startswith("organs/knn_accuracy/")}  # none is lost
    assert (tmp_path / "all" / "pictures" / "organs_pixels_organs_PCA.png").is_file()


def test_organs_may_stand_in_the_names_of_folders(evaluate: Run, body_parts: Path, tmp_path: Path) -> None:
    encoders = {"pixels": {"_target_": "torch.nn.PixelUnshuffle", "downscale_factor": 8}}
    content = json.loads(body_parts.read_text())
    bare = [{"image": str(body_parts.parent / item["image"])} for item in content["training"]]
    datalist = tmp_path / "bare.json"
    datalist.write_text(json.dumps({"training": bare}))
    organs = [{"_target_": "monai_lamps.engines.anatomy.OrganProbe"}]
    evaluate(
        output_dir=tmp_path / "out", datalist=datalist, encoders=encoders, landmarks="none", organs="folder",
        probes=organs,
    )  # fmt: skip
    assert "organs/map" in json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"]


def test_quickstart_of_organs_runs_on_built_in_data(run_task: Run, tmp_path: Path) -> None:
    drawn = json.loads((CONFIGS / "quickstart_organs.json").read_text())["datalist"]
    tiny = {key: TINY[key] for key in ("section", "image_size", "patch_size", "bootstrap_draws")}
    run_task(
        "anatomy_evaluation", "evaluate.json", "quickstart_organs.json", kind="infer", output_dir=tmp_path,
        datalist=drawn, per_part=4, phantom_size=32, encoders={"random": "none"},
        architecture_args={"stride": 8, "base_channels": 4}, **tiny,
    )  # fmt: skip
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert {figure.split("/")[0] for figure in report["figures"]} == {"organs"}
    assert not report["not judged"]


def test_radiographs_without_annotations_are_judged_as_far_as_they_go(
    evaluate: Run, phantoms: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted(phantoms.glob("*.png"))[:4]:
        shutil.copy(path, folder)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    file = _encoder_file(tmp_path / "encoder.pt")
    evaluate(output_dir=tmp_path / "out", datalist="", dataset_dir=folder, encoders=file, images=3, max_reject=0.5)
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (report["images"], report["reference"]) == (3, "encoder")
    assert set(report["not judged"]) == {
        "decomposability",
        "landmark transfer",
        "locality",
        "mask transfer",
        "organs",
        "registration",
    }
    assert "broken.png" in next((tmp_path / "out").rglob("rejected.csv")).read_text()


def test_a_broken_radiograph_of_a_datalist_is_set_aside(evaluate: Run, labelled: Path, tmp_path: Path) -> None:
    content = json.loads(labelled.read_text())
    shutil.copytree(labelled.parent, tmp_path / "data")
    broken = tmp_path / "data" / content["training"][0]["image"]
    broken.write_bytes(broken.read_bytes()[:100])
    file = _encoder_file(tmp_path / "encoder.pt")
    evaluate(output_dir=tmp_path / "out", datalist=tmp_path / "data" / labelled.name, encoders=file)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["images"] == 11
    assert broken.name in (tmp_path / "out" / "rejected.csv").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"encoders": {}}, "no encoder to judge: give --encoders"),
        ({"encoders": {"a": "nowhere.pt"}}, "nowhere.pt"),
        ({"encoders": {"a": "none:b"}}, "encoder 'a' got 'none:b', expected 'none:' and one of the files []"),
        ({"encoders": {"a": 3}}, "encoder 'a' got 3, expected a file, 'none' for random weights, or a callable"),
        ({"patch_size": 20}, "patch_size got 20, expected a multiple of the cell of 8 px of encoder 'a', such as 16"),
        ({"image_size": 36}, "image_size got 36, expected a multiple of the encoder's cell of 8 px"),
        ({"structures": ["hart"]}, "structures got 'hart', which no radiograph has"),
        ({"unseen": ["jaw"]}, "unseen got 'jaw', an organ that no radiograph shows; they show none"),
        ({"organs": "header"}, "organs got 'header', expected one of column, folder, dicom"),
        ({"reference": "b"}, "reference got 'b', expected one of the encoders a"),
        ({"imagez": 3}, "unknown override 'imagez': did you mean '--images'"),
        ({"datalist": ""}, "no data: give --dataset_dir"),
    ],
)
def test_what_the_user_mistyped_is_said(
    evaluate: Run, tmp_path: Path, overrides: dict[str, Any], message: str, said: Callable
) -> None:
    args = {"stride": 8, "base_channels": 4}
    with pytest.raises(Exception) as error:  # noqa: PT011  # MONAI wraps what an expression raises
        evaluate(output_dir=tmp_path, **{"encoders": {"a": "none"}, "architecture_args": args, **overrides})
    assert message in said(error.value)


def test_the_floor_has_the_architecture_of_the_first_file_and_its_normalisation(tmp_path: Path) -> None:
    file = _encoder_file(tmp_path / "encoder.pt")
    ours, floor = judged_encoders({"ours": file, "random": "none"}, 32, 16, architecture="swin_tiny")
    assert floor.network.encoder.config == ours.network.encoder.config
    assert (floor.network.mean, floor.network.std) == (0.4, 0.2)
    weights = [subject.network.encoder.resnet.conv1.weight for subject in (ours, floor)]
    assert not torch.equal(*weights)


def test_a_floor_may_be_that_of_another_file(tmp_path: Path) -> None:
    first, second = _encoder_file(tmp_path / "a.pt"), _encoder_file(tmp_path / "b.pt", base_channels=6)
    subjects = judged_encoders({"a": first, "b": second, "floor": "none", "floor of b": "none:b"}, 32, 16)
    a, b, floor, floor_of_b = (subject.network.encoder.config for subject in subjects)
    assert (floor, floor_of_b) == (a, b)
    assert a != b


def test_a_decomposer_of_ones_own_is_used() -> None:
    class Own(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images

        def decompose(self, whole: torch.Tensor) -> torch.Tensor:
            return whole[:, None].expand(-1, 4, -1)

    (subject,) = judged_encoders({"own": Own()}, 32, 16)
    assert subject.decompose is not None
    assert subject.decompose(torch.zeros(2, 1)).shape == (2, 4, 1)


@pytest.mark.parametrize(
    ("encoders", "expected"),
    [({"a": "x.pt", "b": "none"}, "b"), ({"a": "x.pt", "b": "y.pt"}, "a"), ("x.pt", "encoder")],
)
def test_others_are_compared_with_random_weights_or_else_with_the_first(encoders: Any, expected: str) -> None:
    assert reference_encoder(encoders) == expected


def test_required_properties_are_there(task_workflow: Run, labelled: Path, tmp_path: Path) -> None:
    args = {"encoders": {"a": "none"}, "architecture_args": {"stride": 8, "base_channels": 4}}
    settings = {**TINY, **args, "datalist": labelled, "output_dir": tmp_path}
    flow = task_workflow("anatomy_evaluation", "evaluate.json", kind="infer", **settings)
    flow.initialize()
    assert flow.check_properties() == []
