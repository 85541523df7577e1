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
"""A fixture ``method`` that names each pretraining bundle in turn, and what follows from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow

from monai_lamps.bundle import body_part_datalist

#: a residual network of width 4 whose cells have 8 px, with batch and with group normalisation
RESNET: dict[str, Any] = {"encoder": "resnet18", "encoder_args": {"stride": 8, "base_channels": 4}}
GROUPED = {"encoder": "resnet18", "encoder_args": {**RESNET["encoder_args"], "norm": ["group", {"num_groups": 2}]}}
#: a whole training in seconds: views of 32 px
SMALL: dict[str, Any] = {
    "view_cells": 4, "batch_size": 4, "num_workers": 0, "log_interval": 2, "device": "cpu", "precision": "fp32",
}  # fmt: skip
TINY: dict[str, dict[str, Any]] = {
    "lamps": {
        **RESNET, **SMALL, "epochs": 2, "warmup_epochs": 0, "region_cells": 5, "window_cells": 3, "decoder_depth": 1,
        "decoder_heads": 4, "curriculum": "step",
    },
    "adam": {**GROUPED, **SMALL, "granularities": [0, 2], "stage_epochs": 1, "queue_size": 16},
    "coda": {
        **GROUPED, **SMALL, "epochs": 2, "warmup_epochs": 0, "local_cells": 2, "local_views": 2, "images_per_organ": 2,
        "prototypes": 16, "method#hidden": 16, "temperature_epochs": 1,
    },
    "radlas": {
        **GROUPED, **SMALL, "epochs": 2, "warmup_epochs": 0, "decoder_width": 16, "decoder_depth": 1,
        "decoder_heads": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="session", params=list(TINY))
def method(request: pytest.FixtureRequest) -> str:
    """The method under test: each in turn, or those of ``pytest.mark.parametrize("method", [...], indirect=True)``."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def bundle(root: Path, method: str) -> Path:
    """The bundle of the method."""
    return root / "bundles" / f"{method}_pretraining"


@pytest.fixture(scope="session")
def tiny(method: str) -> dict[str, Any]:
    """Settings with which the method trains in seconds."""
    return TINY[method]


@pytest.fixture(scope="session")
def body_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of 8 small radiographs each of three body parts, of which 6 are for training."""
    return body_part_datalist(tmp_path_factory.mktemp("parts"), 8, 48, parts=("chest", "hand", "knee"), validation=0.25)


@pytest.fixture(scope="session")
def folder(method: str, phantoms: Path, body_parts: Path) -> dict[str, Any]:
    """The options that name 24 radiographs for the method in a folder."""
    if method == "coda":
        return {"dataset_dir": body_parts.parent / "images", "organs": "folder"}
    return {"dataset_dir": phantoms}


@pytest.fixture(scope="session")
def data(method: str, folder: dict[str, Any], body_parts: Path) -> dict[str, Any]:
    """The options that name 24 radiographs for the method: a folder, or the datalist of body parts."""
    return {"datalist": body_parts} if method == "coda" else folder


@pytest.fixture(scope="session")
def workflow(bundle: Path, tiny: dict[str, Any], bundle_workflow: Callable) -> Callable[..., ConfigWorkflow]:
    """Make workflows of the bundle's configs with the tiny settings and some overrides."""

    def make(*configs: str | Path, bundle_root: Path = bundle, kind: str = "train", **overrides: Any) -> ConfigWorkflow:
        own = tiny if kind == "train" else {"num_workers": 0, "device": "cpu"}
        flow: ConfigWorkflow = bundle_workflow(bundle_root, *configs, kind=kind, **{**own, **overrides})
        return flow

    return make


@pytest.fixture(scope="session")
def run(workflow: Callable[..., ConfigWorkflow], carry_out: Callable) -> Callable[..., ConfigWorkflow]:
    """Initialize, run and finalize a workflow of the bundle."""
    return lambda *configs, **overrides: carry_out(workflow(*configs, **overrides))


@pytest.fixture(scope="session")
def finished() -> dict[str, Path]:
    """The output folders of ``trained`` by method: each is trained once, however often the method changes."""
    return {}


@pytest.fixture(scope="session")
def trained(method: str, run: Callable, data: dict[str, Any], finished: dict[str, Path], tmp_path_factory: Any) -> Path:
    """The output folder of one finished tiny training."""
    if method not in finished:
        out = tmp_path_factory.mktemp(f"trained_{method}")
        run(**data, output_dir=out)
        finished[method] = out
    return finished[method]


@pytest.fixture
def copy_of_trained(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished training, beside the original, as the datalist's paths are relative."""
    return Path(shutil.copytree(trained, trained.parent / f"copy_{tmp_path.name}"))


@pytest.fixture(scope="session")
def bundle_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m monai.bundle run``, in one process or with torchrun in two, with gloo."""

    def go(
        folder: Path, *configs: str | Path, cwd: Path, processes: int = 1, **overrides: Any
    ) -> subprocess.CompletedProcess[str]:
        files = [str(folder / "configs" / c) if isinstance(c, str) else str(c) for c in configs]
        torchrun = ["torch.distributed.run", f"--nproc_per_node={processes}", "--standalone", "-m"]
        options = [f"--{key}={value}" for key, value in {"bundle_root": folder, **overrides}.items()]
        return subprocess.run(
            [sys.executable, "-m", *(torchrun if processes > 1 else []), "monai.bundle", "run",
             "--config_file", json.dumps(files), *options],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=300,  # dist_timeout_minutes is half an hour
            check=False,
        )  # fmt: skip

    return go
