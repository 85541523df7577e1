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

from monai_lamps.bundle import annotated_phantoms, body_part_datalist
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


#: a whole training of Adam in seconds: two stages of an epoch, views of 32 px, the same residual network
TINY_ADAM: dict[str, Any] = {
    "encoder": "resnet18",
    "encoder_args": {"stride": 8, "base_channels": 4, "norm": ["group", {"num_groups": 2}]},
    "view_cells": 4,
    "granularities": [0, 2],
    "stage_epochs": 1,
    "queue_size": 16,
    "batch_size": 4,
    "num_workers": 0,
    "log_interval": 2,
    "device": "cpu",
    "precision": "fp32",
}


#: a whole training of RadLAS in seconds: images of 32 px, the same residual network, a decoder of one block
TINY_RADLAS: dict[str, Any] = {
    "encoder": "resnet18",
    "encoder_args": {"stride": 8, "base_channels": 4, "norm": ["group", {"num_groups": 2}]},
    "view_cells": 4,
    "decoder_width": 16,
    "decoder_depth": 1,
    "decoder_heads": 2,
    "epochs": 2,
    "batch_size": 4,
    "num_workers": 0,
    "warmup_epochs": 0,
    "log_interval": 2,
    "device": "cpu",
    "precision": "fp32",
}


#: a whole fine-tuning in a second: images of 32 px, the same residual network
TINY_CODA: dict[str, Any] = {
    "encoder": "resnet18",
    "encoder_args": {"stride": 8, "base_channels": 4, "norm": ["group", {"num_groups": 2}]},
    "view_cells": 4,
    "local_cells": 2,
    "local_views": 2,
    "images_per_organ": 2,
    "prototypes": 16,
    "method#hidden": 16,
    "temperature_epochs": 1,
    "epochs": 2,
    "batch_size": 4,
    "num_workers": 0,
    "warmup_epochs": 0,
    "log_interval": 2,
    "device": "cpu",
    "precision": "fp32",
}


TINY_TASK: dict[str, Any] = {
    "architecture": "resnet18",
    "architecture_args": {"stride": 8, "base_channels": 4},
    "image_size": 32,
    "epochs": 2,
    "batch_size": 4,
    "num_workers": 0,
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


def _workflows(folder: Path, tiny: dict[str, Any]) -> Callable[..., ConfigWorkflow]:
    """Make workflows of a bundle's configs (train.json first) with the tiny settings and some overrides."""

    def make(*configs: str | Path, bundle_root: Path = folder, kind: str = "train", **overrides: Any) -> ConfigWorkflow:
        files = [str(bundle_root / "configs" / c) if isinstance(c, str) else str(c) for c in configs or ("train.json",)]
        settings = {**(tiny if kind == "train" else {}), **overrides}
        settings = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
        return ConfigWorkflow(files, workflow_type=kind, bundle_root=str(bundle_root), **settings)

    return make


def _runs(make: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Initialize, run and finalize a workflow, as ``monai.bundle run`` does."""

    def go(*configs: str | Path, **overrides: Any) -> ConfigWorkflow:
        flow = make(*configs, **overrides)
        flow.initialize()
        flow.run()
        flow.finalize()
        return flow

    return go


@pytest.fixture(scope="session")
def workflow(bundle: Path) -> Callable[..., ConfigWorkflow]:
    """Make workflows of the bundle of Lamps."""
    return _workflows(bundle, TINY)


@pytest.fixture(scope="session")
def run(workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Run the bundle of Lamps."""
    return _runs(workflow)


@pytest.fixture(scope="session")
def trained(run: Callable[..., ConfigWorkflow], phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one finished tiny training."""
    out = tmp_path_factory.mktemp("trained")
    run(dataset_dir=phantoms, output_dir=out)
    return out


@pytest.fixture(scope="session")
def adam_bundle(root: Path) -> Path:
    """The bundle of Adam."""
    return root / "bundles" / "adam_pretraining"


@pytest.fixture(scope="session")
def adam_workflow(adam_bundle: Path) -> Callable[..., ConfigWorkflow]:
    """Make workflows of the bundle of Adam."""
    return _workflows(adam_bundle, TINY_ADAM)


@pytest.fixture(scope="session")
def run_adam(adam_workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Run the bundle of Adam."""
    return _runs(adam_workflow)


@pytest.fixture(scope="session")
def trained_adam(
    run_adam: Callable[..., ConfigWorkflow], phantoms: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The output folder of one finished tiny training of Adam."""
    out = tmp_path_factory.mktemp("trained_adam")
    run_adam(dataset_dir=phantoms, output_dir=out)
    return out


@pytest.fixture(scope="session")
def coda_bundle(root: Path) -> Path:
    """The bundle of Coda."""
    return root / "bundles" / "coda_pretraining"


@pytest.fixture(scope="session")
def body_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of 8 small radiographs each of three body parts, of which 6 are for training."""
    return body_part_datalist(tmp_path_factory.mktemp("parts"), 8, 48, parts=("chest", "hand", "knee"), validation=0.25)


@pytest.fixture(scope="session")
def coda_workflow(coda_bundle: Path) -> Callable[..., ConfigWorkflow]:
    """Make workflows of the bundle of Coda."""
    return _workflows(coda_bundle, TINY_CODA)


@pytest.fixture(scope="session")
def run_coda(coda_workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Run the bundle of Coda."""
    return _runs(coda_workflow)


@pytest.fixture(scope="session")
def trained_coda(
    run_coda: Callable[..., ConfigWorkflow], body_parts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The output folder of one finished tiny training of Coda."""
    out = tmp_path_factory.mktemp("trained_coda")
    run_coda(datalist=body_parts, output_dir=out)
    return out


@pytest.fixture(scope="session")
def radlas_bundle(root: Path) -> Path:
    """The bundle of RadLAS."""
    return root / "bundles" / "radlas_pretraining"


@pytest.fixture(scope="session")
def radlas_workflow(radlas_bundle: Path) -> Callable[..., ConfigWorkflow]:
    """Make workflows of the bundle of RadLAS."""
    return _workflows(radlas_bundle, TINY_RADLAS)


@pytest.fixture(scope="session")
def run_radlas(radlas_workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Run the bundle of RadLAS."""
    return _runs(radlas_workflow)


@pytest.fixture(scope="session")
def trained_radlas(
    run_radlas: Callable[..., ConfigWorkflow], phantoms: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The output folder of one finished tiny training of RadLAS."""
    out = tmp_path_factory.mktemp("trained_radlas")
    run_radlas(dataset_dir=phantoms, output_dir=out)
    return out


@pytest.fixture
def metrics() -> Callable[[Path], dict[str, Any]]:
    """Read the metrics.json of an output folder."""

    def read(out: Path) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
        return content

    return read


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of 24 small radiographs with masks and a label: 12 for training, 6 each for validation and test."""
    return annotated_phantoms(tmp_path_factory.mktemp("labelled"), 24, 48)


@pytest.fixture(scope="session")
def task_workflow(root: Path, labelled: Path) -> Callable[..., ConfigWorkflow]:
    """Make a workflow of a fine-tuning bundle, with the tiny settings and the labelled phantoms for training."""

    def make(name: str, *configs: str | Path, kind: str = "train", **overrides: Any) -> ConfigWorkflow:
        folder = root / "bundles" / name
        files = [str(folder / "configs" / c) if isinstance(c, str) else str(c) for c in configs or ("train.json",)]
        own = {**TINY_TASK, "datalist": labelled} if kind == "train" else {"num_workers": 0, "device": "cpu"}
        settings = {
            key: str(value) if isinstance(value, Path) else value for key, value in {**own, **overrides}.items()
        }
        return ConfigWorkflow(files, workflow_type=kind, bundle_root=str(folder), **settings)

    return make


@pytest.fixture(scope="session")
def run_task(task_workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Initialize, run and finalize a workflow of a fine-tuning bundle."""

    def go(name: str, *configs: str | Path, **overrides: Any) -> ConfigWorkflow:
        flow = task_workflow(name, *configs, **overrides)
        flow.initialize()
        flow.run()
        flow.finalize()
        return flow

    return go


@pytest.fixture(scope="session")
def segmentation(run_task: Callable[..., ConfigWorkflow], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a finished tiny segmentation."""
    out = tmp_path_factory.mktemp("segmentation")
    run_task("radiograph_segmentation", output_dir=out)
    return out


@pytest.fixture(scope="session")
def classification(run_task: Callable[..., ConfigWorkflow], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a finished tiny classification."""
    out = tmp_path_factory.mktemp("classification")
    run_task("radiograph_classification", output_dir=out)
    return out


@pytest.fixture(scope="session")
def said() -> Callable[[BaseException], str]:
    """All that a chain of errors says: MONAI wraps what a config's expression raises."""

    def text(error: BaseException | None) -> str:
        parts = []
        while error is not None:
            parts.append(str(error))
            error = error.__cause__ or error.__context__
        return " | ".join(parts)

    return text


@pytest.fixture(scope="session")
def assert_same_end() -> Callable[[Path, Path], None]:
    """Assert that the last checkpoints of two runs hold the same, bit for bit, but for the clock's readings."""

    def compare(a: Any, b: Any, where: str) -> None:
        if isinstance(a, dict):
            assert a.keys() == b.keys(), where
            for key in a:
                compare(a[key], b[key], f"{where}/{key}")
        elif isinstance(a, (list, tuple)):
            assert len(a) == len(b), where
            for i, (x, y) in enumerate(zip(a, b)):
                compare(x, y, f"{where}/{i}")
        elif isinstance(a, torch.Tensor):
            assert torch.equal(a, b), where
        else:
            assert a == b or where.endswith(("_per_second", "_share", "_gb")), where

    def compare_last(first: Path, second: Path) -> None:
        ends = [
            torch.load(sorted((out / "checkpoints").glob("*.pt"))[-1], weights_only=True) for out in (first, second)
        ]
        for part in ("method", "optimizer", "trainer", "validator", "early", "history"):
            compare(ends[0][part], ends[1][part], part)

    return compare_last
