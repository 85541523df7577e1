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
"""The evidence head in the bundle of classification."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from monai.bundle.scripts import ckpt_export, onnx_export
from PIL import Image

from monai_lamps.checkpoints import load_network, read_network_card, save_evidence_network
from monai_lamps.data import draw_thorax
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder
from monai_lamps.tasks import EvidenceClassifier

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
BUNDLE = "radiograph_classification"
CONFIGS = ROOT / "bundles" / BUNDLE / "configs"


@pytest.fixture(scope="session")
def evidence_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evidence network as a pretraining run leaves it, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder("vit_tiny", embed_dim=16, depth=2, num_heads=2, patch_size=8, position_cells=4)
        decoder = TokenDecoder(encoder.embed_dim, encoder.cell, width=16, depth=1, num_heads=2)
        network = EvidenceNetwork(encoder, decoder, sigma=1.0)
    images = (torch.from_numpy(np.stack([draw_thorax(number, 32) for number in range(4)])) - 0.45) / 0.2
    network.fit_scale(network.contrast(images, network.eval().restore(images).detach()), 90)
    card = {"image_size": [32, 32], "normalization": {"mean": 0.45, "std": 0.2}, "method": "radlas"}
    return save_evidence_network(tmp_path_factory.mktemp("evidence") / "evidence.pt", network, card)


@pytest.fixture(scope="session")
def settings(evidence_file: Path) -> dict[str, Any]:
    """Overrides of a training with an evidence head."""
    return {"head": "evidence", "evidence": evidence_file}


@pytest.fixture(scope="session")
def diagnosis(run_task: Run, settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a finished tiny training with an evidence head."""
    out = tmp_path_factory.mktemp("diagnosis")
    run_task(BUNDLE, output_dir=out, **settings)
    return out


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_fine_tuning_leaves_what_grounds_the_evidence_as_it_was(diagnosis: Path, evidence_file: Path) -> None:
    network, card = load_network(diagnosis / "last.pt"), read_network_card(diagnosis)
    assert isinstance(network, EvidenceClassifier)
    assert card["normalization"] == {"mean": 0.45, "std": 0.2}
    assert (card["start"]["evidence"], card["network"]["source"]) == ("evidence.pt", "both")
    grounded = torch.load(evidence_file, weights_only=True)
    assert all(torch.equal(value, grounded[name]) for name, value in network.grounding.state_dict().items())
    tuned, start = network.encoder.state_dict(), network.grounding.encoder.state_dict()
    assert any(not torch.equal(tuned[name], start[name]) for name in tuned)


@pytest.mark.parametrize("source", ["clue", "context"])
def test_a_frozen_encoder_trains_the_head_alone(
    run_task: Run, settings: dict[str, Any], tmp_path: Path, source: str
) -> None:
    run_task(BUNDLE, output_dir=tmp_path, epochs=1, frozen="true", evidence_source=source, **settings)
    network = load_network(tmp_path / "last.pt")
    tuned, start = network.encoder.state_dict(), network.grounding.encoder.state_dict()
    assert all(torch.equal(tuned[name], start[name]) for name in tuned)
    assert network.parts == (source,)


def test_two_and_two_epochs_are_four(
    run_task: Run, task_workflow: Run, settings: dict[str, Any], tmp_path: Path, assert_same_end: Callable
) -> None:
    run_task(BUNDLE, output_dir=tmp_path / "straight", epochs=4, dropout=0.2, **settings)
    flow = task_workflow(BUNDLE, output_dir=tmp_path / "halved", epochs=4, dropout=0.2, **settings)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda: trainer.terminate())
    flow.run()
    run_task(BUNDLE, output_dir=tmp_path / "halved", epochs=4, dropout=0.2, **settings)
    assert_same_end(tmp_path / "straight", tmp_path / "halved")


@pytest.mark.parametrize("crops", ["false", "true"])
def test_inference_writes_probabilities_maps_overlays_and_boxes(
    run_task: Run, diagnosis: Path, labelled: Path, tmp_path: Path, crops: str
) -> None:
    shutil.copytree(labelled.parent / "images", tmp_path / "data")
    run_task(BUNDLE, "inference.json", kind="infer", dataset_dir=tmp_path / "data", batch_size=10, crops=crops,
             network_file=diagnosis / "best.pt", output_dir=tmp_path / "out", boxes=2)  # fmt: skip
    out, names = tmp_path / "out", [f"thorax_{number:05d}" for number in range(24)]
    assert [Path(row["image"]).stem for row in _rows(out / "probabilities.csv")] == names
    for folder in ("evidence", "overlays"):
        assert sorted(path.stem for path in (out / folder).glob("*.png")) == names
    assert np.asarray(Image.open(out / "evidence" / f"{names[0]}.png")).shape == (48, 48)
    boxes = _rows(out / "boxes.csv")
    assert boxes
    assert list(boxes[0]) == ["image", "x", "y", "width", "height", "score", "logit/opacity"]
    for row in boxes:
        x, y, width, height = (int(row[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 < width
        assert y >= 0 < height
        assert max(x + width, y + height) <= 48
    counts = [sum(Path(row["image"]).stem == name for row in boxes) for name in names]
    assert max(counts) <= 2


def test_inference_of_a_linear_head_writes_no_evidence(
    run_task: Run, classification: Path, labelled: Path, tmp_path: Path
) -> None:
    run_task(BUNDLE, "inference.json", kind="infer", datalist=labelled, network_file=classification / "best.pt",
             output_dir=tmp_path)  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["probabilities.csv"]


def test_evaluation_judges_an_evidence_head(run_task: Run, diagnosis: Path, labelled: Path, tmp_path: Path) -> None:
    run_task(BUNDLE, "evaluate.json", kind="infer", datalist=labelled, network_file=diagnosis / "best.pt",
             output_dir=tmp_path, bootstrap_draws=20)  # fmt: skip
    assert (tmp_path / "figures.json").is_file()


@torch.no_grad()
def test_torchscript_and_onnx_compute_the_logits(
    diagnosis: Path, export_arguments: Callable, onnx_output: Callable, tmp_path: Path
) -> None:
    export = export_arguments("radiograph_classification", diagnosis / "best.pt", [1, 1, 32, 32])
    ckpt_export(filepath=str(tmp_path / "model.ts"), **export)
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = load_network(diagnosis / "best.pt")(images)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(images), expected)
    onnx_export(filepath=str(tmp_path / "model.onnx"), **export)
    torch.testing.assert_close(onnx_output(tmp_path / "model.onnx", images[:1]), expected[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"evidence": ""}, "an evidence head needs --evidence OUT/evidence.pt"),
        ({"evidence": "nowhere.pt"}, "no evidence file at 'nowhere.pt'"),
        ({"head": "both"}, "head got 'both', expected one of linear, evidence"),
        ({"encoder": "encoder.pt"}, "leave --encoder out"),
        ({"evidence_source": "map"}, "source got 'map', expected one of both, clue, context"),
        ({"image_size": 36}, "image_size got 36, expected a multiple of the encoder's cell of 8 px"),
    ],
)
def test_wrong_use_is_named_with_its_mend(
    task_workflow: Run, settings: dict[str, Any], tmp_path: Path, overrides: dict[str, Any], message: str,
    said: Callable,
) -> None:  # fmt: skip
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        task_workflow(BUNDLE, output_dir=tmp_path, **{**settings, **overrides}).initialize()
    assert re.search(message, said(error.value))
