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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.scripts import ckpt_export, onnx_export

from monai_lamps.checkpoints import load_network

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
TRAINED = {"radiograph_segmentation": "segmentation", "radiograph_classification": "classification"}


@pytest.fixture(params=list(TRAINED))
def name(request: pytest.FixtureRequest) -> str:
    """The name of a fine-tuning bundle."""
    return request.param


@pytest.fixture
def network_file(name: str, request: pytest.FixtureRequest) -> Path:
    """What a tiny run of the bundle has left as its best network."""
    return request.getfixturevalue(TRAINED[name]) / "best.pt"


@pytest.fixture
def export(name: str, network_file: Path, export_arguments: Callable) -> dict[str, Any]:
    """Arguments of MONAI's export commands."""
    return export_arguments(name, network_file, [1, 1, 32, 32])


@torch.no_grad()
def test_torchscript_computes_what_the_network_does(network_file: Path, export: dict[str, Any], tmp_path: Path) -> None:
    ckpt_export(filepath=str(tmp_path / "model.ts"), **export)
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = load_network(network_file)(images)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(images), expected)


@torch.no_grad()
def test_onnx_computes_what_the_network_does(
    network_file: Path, export: dict[str, Any], onnx_output: Callable, tmp_path: Path
) -> None:
    onnx_export(filepath=str(tmp_path / "model.onnx"), **export)
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    found, expected = onnx_output(tmp_path / "model.onnx", images), load_network(network_file)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_line_of_an_epoch_has_the_key_figures_and_the_history_all(
    run_task: Run, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_task(name, output_dir=tmp_path, epochs=1)
    said = capsys.readouterr()
    (line,) = [line for line in (said.out + said.err).splitlines() if "progress: epoch 1/1 " in line]
    key = {"radiograph_segmentation": "dice", "radiograph_classification": "auroc"}[name]
    assert f"validation {key} " in line
    figures = json.loads((tmp_path / "metrics.json").read_text())["figures"]
    single = [figure.removeprefix("validation/") for figure in figures if figure.startswith(f"validation/{key}/")]
    assert single
    assert not [figure for figure in single if figure in line]


@pytest.mark.parametrize("config", ["train.json", "evaluate.json", "inference.json"])
def test_required_properties_are_there(
    task_workflow: Run, name: str, network_file: Path, labelled: Path, tmp_path: Path, config: str
) -> None:
    extra = {} if config == "train.json" else {"network_file": network_file, "datalist": labelled}
    kind = "train" if config == "train.json" else "infer"
    flow = task_workflow(name, config, kind=kind, output_dir=tmp_path, **extra)
    flow.initialize()
    assert flow.check_properties() == []
