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
"""What is particular to the bundle of RadLAS: its evidence network and the choice of normal images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow

from monai_lamps.checkpoints import load_encoder, load_evidence_network, read_card
from monai_lamps.data import index_folder

Run = Callable[..., ConfigWorkflow]
pytestmark = pytest.mark.parametrize("method", ["radlas"], indirect=True)


def test_the_evidence_network_of_the_exported_encoder_is_exported(trained: Path) -> None:
    encoder = load_encoder(trained / "encoder.pt").state_dict()
    network, card = load_evidence_network(trained / "evidence.pt")
    assert encoder
    for name, value in encoder.items():
        assert torch.equal(value, network.encoder.state_dict()[name]), name
    other = read_card(trained / "encoder.pt")
    for key in ("image_size", "normalization", "preparation", "method", "epochs", "seed", "encoder"):
        assert card[key] == other[key]
    method = torch.load(max((trained / "checkpoints").glob("*.pt")), weights_only=True)["method"]
    assert float(network.scale) == float(method["teacher.module.evidence.scale"]) != 1


def test_a_run_without_validation_images_trains_and_finds_a_scale_all_the_same(
    run: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    run(dataset_dir=phantoms, output_dir=tmp_path, validation_share=0.0, epochs=1)
    assert metrics(tmp_path)["training_images"] == 24
    assert not any(name.startswith("validation/") for name in metrics(tmp_path)["figures"])
    network, _ = load_evidence_network(tmp_path / "evidence.pt")
    assert float(network.scale) != 1


def _marked(phantoms: Path, folder: Path) -> Path:
    """A datalist of the phantoms, every other one of which is normal."""
    index = index_folder(phantoms, folder / "index", workers=0, progress=False)
    content = json.loads(index.read_text())
    for section in ("training", "validation"):
        for number, item in enumerate(content[section]):
            item["image"] = str((index.parent / item["image"]).resolve())
            item["labels"] = {"tb": number % 2}
    marked = folder / "marked.json"
    marked.write_text(json.dumps(content))
    return marked


def test_only_normal_images_are_learned_from_where_a_column_tells_them(
    run: Run, phantoms: Path, tmp_path: Path, metrics: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    datalist = _marked(phantoms, tmp_path)
    items = json.loads(datalist.read_text())["training"]
    run(datalist=datalist, output_dir=tmp_path / "out", normal_column="tb", normal_value=0, epochs=1, batch_size=2)
    assert metrics(tmp_path / "out")["training_images"] == sum(item["labels"]["tb"] == 0 for item in items)
    said = capsys.readouterr().out  # the bundle's own log
    assert "training images are normal (tb = 0)" in said
    assert "taken for normal" not in said


def test_without_a_column_a_warning_says_that_all_images_are_taken(
    workflow: Run, phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path)
    flow.initialize()
    flow.parser.get_parsed_content("train#dataset")
    said = capsys.readouterr().out  # the bundle's own log
    assert "training images are taken for normal" in said
    assert "--normal_column" in said
