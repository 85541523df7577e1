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
"""What the tests of all bundles share: data, workflows of a bundle's configs, and what a run has left."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from monai_lamps.bundle import annotated_phantoms
from monai_lamps.data import write_phantoms

#: a whole fine-tuning in a second: images of 32 px, a residual network of width 4
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
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 small radiographs."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, 24, 48)
    return folder


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of 24 small radiographs with masks and a label: 12 for training, 6 each for validation and test."""
    return annotated_phantoms(tmp_path_factory.mktemp("labelled"), 24, 48)


@pytest.fixture(scope="session")
def bundle_workflow() -> Callable[..., ConfigWorkflow]:
    """Make a workflow of the configs (train.json first) of a bundle's folder, with some settings."""

    def make(folder: Path, *configs: str | Path, kind: str = "train", **settings: Any) -> ConfigWorkflow:
        files = [str(folder / "configs" / c) if isinstance(c, str) else str(c) for c in configs or ("train.json",)]
        texts = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
        return ConfigWorkflow(files, workflow_type=kind, bundle_root=str(folder), **texts)

    return make


@pytest.fixture(scope="session")
def carry_out() -> Callable[[ConfigWorkflow], ConfigWorkflow]:
    """Initialize, run and finalize a workflow, as ``monai.bundle run`` does."""

    def go(flow: ConfigWorkflow) -> ConfigWorkflow:
        flow.initialize()
        flow.run()
        flow.finalize()
        return flow

    return go


@pytest.fixture(scope="session")
def task_workflow(root: Path, labelled: Path, bundle_workflow: Callable) -> Callable[..., ConfigWorkflow]:
    """Make a workflow of a fine-tuning bundle, with the tiny settings and the labelled phantoms for training."""

    def make(name: str, *configs: str | Path, kind: str = "train", **overrides: Any) -> ConfigWorkflow:
        own = {**TINY_TASK, "datalist": labelled} if kind == "train" else {"num_workers": 0, "device": "cpu"}
        return bundle_workflow(root / "bundles" / name, *configs, kind=kind, **{**own, **overrides})

    return make


@pytest.fixture(scope="session")
def run_task(task_workflow: Callable[..., ConfigWorkflow], carry_out: Callable) -> Callable[..., ConfigWorkflow]:
    """Initialize, run and finalize a workflow of a fine-tuning bundle."""
    return lambda name, *configs, **overrides: carry_out(task_workflow(name, *configs, **overrides))


@pytest.fixture
def metrics() -> Callable[[Path], dict[str, Any]]:
    """Read the metrics.json of an output folder."""

    def read(out: Path) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
        return content

    return read


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
def export_arguments(root: Path) -> Callable[..., dict[str, Any]]:
    """Arguments of MONAI's export commands for a network file of a fine-tuning bundle and images of a shape."""

    def arguments(name: str, network_file: Path, shape: Sequence[int]) -> dict[str, Any]:
        configs = root / "bundles" / name / "configs"
        return {
            "net_id": "network_def",
            "ckpt_file": str(network_file),
            "key_in_ckpt": "network",
            "meta_file": str(configs / "metadata.json"),
            "config_file": str(configs / "inference.json"),
            "network_file": str(network_file),
            "use_trace": True,
            "input_shape": list(shape),
        }

    return arguments


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
def assert_same_end() -> Callable[..., None]:
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

    def compare_last(
        first: Path,
        second: Path,
        parts: Sequence[str] = ("method", "optimizer", "trainer", "validator", "early", "history"),
    ) -> None:
        ends = [torch.load(max((out / "checkpoints").glob("*.pt")), weights_only=True) for out in (first, second)]
        for part in parts:
            compare(ends[0][part], ends[1][part], part)

    return compare_last
