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
from monai.bundle import ConfigWorkflow

from monai_lamps.data import write_phantoms

#: a whole training in seconds: 32 px views of 4 x 4 cells, a residual network of width 4
TINY: dict[str, Any] = {
    "encoder": "resnet18",
    "encoder_args": {"stride": 8, "base_channels": 4},
    "region_cells": 5,
    "view_cells": 4,
    "window_cells": 3,
    "decoder_depth": 1,
    "decoder_heads": 4,
    "curriculum": "step",
    "epochs": 2,
    "batch_size": 4,
    "num_workers": 0,
    "warmup_epochs": 0,
    "log_interval": 2,
    "device": "cpu",
    "precision": "fp32",
}


@pytest.fixture(scope="session")
def bundle(root: Path) -> Path:
    """The bundle under test."""
    return root / "bundles" / "lamps_pretraining"


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 small radiographs."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, 24, 48)
    return folder


@pytest.fixture(scope="session")
def workflow(bundle: Path) -> Callable[..., ConfigWorkflow]:
    """Make a workflow of the bundle's configs (train.json first) with the tiny settings and some overrides."""

    def make(*configs: str | Path, bundle_root: Path = bundle, kind: str = "train", **overrides: Any) -> ConfigWorkflow:
        files = [str(bundle_root / "configs" / c) if isinstance(c, str) else str(c) for c in configs or ("train.json",)]
        settings = {**(TINY if kind == "train" else {}), **overrides}
        settings = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
        return ConfigWorkflow(files, workflow_type=kind, bundle_root=str(bundle_root), **settings)

    return make


@pytest.fixture(scope="session")
def run(workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Initialize, run and finalize a workflow, as ``monai.bundle run`` does."""

    def go(*configs: str | Path, **overrides: Any) -> ConfigWorkflow:
        flow = workflow(*configs, **overrides)
        flow.initialize()
        flow.run()
        flow.finalize()
        return flow

    return go


@pytest.fixture(scope="session")
def trained(run: Callable[..., ConfigWorkflow], phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one finished tiny training."""
    out = tmp_path_factory.mktemp("trained")
    run(dataset_dir=phantoms, output_dir=out)
    return out


@pytest.fixture
def metrics() -> Callable[[Path], dict[str, Any]]:
    """Read the metrics.json of an output folder."""

    def read(out: Path) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
        return content

    return read
