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
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, verify_metadata, verify_net_in_out

from monai_lamps.checkpoints import load_encoder

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
#: those of fine-tuning, configs/protocols, and of the other methods are tried with their bundles
PRESETS = [
    path
    for path in sorted((ROOT / "configs").rglob("*.json"), key=str)
    if path.parent.name != "protocols" and not path.stem.endswith(("_adam", "_coda", "_radlas"))
]
#: required by the model zoo's schema of 2024-07-25
REQUIRED = [
    "schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task",
    "description", "authors", "copyright", "network_data_format",
]  # fmt: skip


def test_quickstart_runs_on_built_in_data(run: Run, tmp_path: Path, metrics: Callable) -> None:
    tiny = {"phantoms": 20, "phantom_size": 64, "epochs": 1, "batch_size": 4}
    settings = json.loads((ROOT / "bundles/lamps_pretraining/configs/quickstart.json").read_text())
    kept = {key: settings[key] for key in settings if key not in (*tiny, "dataset_dir", "output_dir")}
    run("train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **tiny})
    assert metrics(tmp_path)["finished"]
    assert len(list((tmp_path / "phantoms").glob("*.png"))) == 20


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_preset_trains_a_step(run: Run, phantoms: Path, tmp_path: Path, preset: Path, metrics: Callable) -> None:
    settings = json.loads(preset.read_text())
    if str(settings.get("device", "")).startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("this preset needs a GPU")
    small: dict[str, Any] = {"batch_size": 10, "epochs": 1, "num_workers": 0}
    if "encoder" in settings:
        small = {"region_cells": 3, "view_cells": 2, "window_cells": 1, "curriculum": "joint", **settings, **small}
    if "patient_pattern" in settings:
        small["patient_pattern"] = "thorax_(\\d+)"  # the phantoms' names, in place of the data set's
    if "released" in settings:
        small["released"] = None  # no weights of others are distributed; tests/checkpoints imports synthetic ones
    run("train.json", preset, dataset_dir=phantoms, output_dir=tmp_path, **{**settings, **small})
    assert metrics(tmp_path)["finished"]


@pytest.mark.parametrize("given", ["true", "false"])
def test_switches_given_as_text_are_obeyed(workflow: Run, phantoms: Path, tmp_path: Path, given: str) -> None:
    flow = workflow("train.json", dataset_dir=phantoms, output_dir=tmp_path, compile=given, cross_view=given)
    flow.initialize()
    flow.parser.get_parsed_content("network")  # compiled functions wait for their first call
    method = flow.parser.get_parsed_content("method")
    compiled = {"features", "_stage_outputs"} & vars(method.encoder).keys()
    assert (bool(compiled), method.cross_view is not None) == (given == "true", given == "true")


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_required_properties_are_there(
    workflow: Run, phantoms: Path, trained: Path, tmp_path: Path, kind: str, config: str
) -> None:
    extra = {} if kind == "train" else {"encoder_file": trained / "encoder.pt", "num_workers": 0}
    flow = workflow(config, kind=kind, dataset_dir=phantoms, output_dir=tmp_path, **extra)
    flow.initialize()
    assert flow.check_properties() == []


def test_metadata_is_valid(bundle: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(
        json.dumps({"type": "object", "required": REQUIRED, "properties": {"authors": {"type": "string"}}})
    )
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(schema))
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]


def test_metadata_names_the_versions_that_are_tested(bundle: Path) -> None:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    named = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    assert named.pop("monai_lamps") == metadata["version"]
    assert {name: pinned[name] for name in named} == named


def test_the_encoder_takes_and_gives_what_the_metadata_says(bundle: Path) -> None:
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "train.json"),
        bundle_root=str(bundle),
        device="cpu",
        n=7,
    )


@pytest.mark.parametrize("dense", [False, True])
def test_inference_writes_embeddings_and_names_every_image(
    run: Run, phantoms: Path, trained: Path, tmp_path: Path, dense: bool
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    shutil.copy(folder / "thorax_00003.png", folder / "thorax_00003_copy.png")
    run("inference.json", kind="infer", dataset_dir=folder, output_dir=tmp_path, dense=dense, num_workers=0,
        encoder_file=trained / "encoder.pt", device="cpu", batch_size=5)  # fmt: skip
    embeddings = np.load(tmp_path / "embeddings.npy")
    rows = (tmp_path / "embeddings.csv").read_text().splitlines()[1:]
    assert embeddings.shape == (25, 32)  # the duplicate, too
    assert sorted(Path(row.split(",")[1]).name for row in rows) == sorted(p.name for p in folder.glob("*.png"))
    assert np.ptp(embeddings, axis=0).max() > 0
    assert (tmp_path / "dense_embeddings.npy").exists() == dense
    if dense:
        tokens = np.load(tmp_path / "dense_embeddings.npy")
        assert tokens.shape == (25, 25, 32)  # 5 x 5 cells: the region, at the scale of training
        np.testing.assert_allclose(tokens.mean(1), embeddings, rtol=1e-5, atol=1e-6)


def test_inference_without_an_encoder_says_what_is_missing(workflow: Run, phantoms: Path, tmp_path: Path) -> None:
    flow = workflow("inference.json", kind="infer", dataset_dir=phantoms, output_dir=tmp_path, encoder_file="none.pt")
    with pytest.raises(RuntimeError) as error:
        flow.initialize()
    assert "no encoder file at 'none.pt'" in str(error.value.__cause__)


def _command(*arguments: str, cwd: Path, launcher: tuple[str, ...] = ("-m",)) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, *launcher, "monai.bundle", "run", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=300, check=False)


def _arguments(bundle: Path, *configs: str, **overrides: Any) -> list[str]:
    files = json.dumps([str(bundle / "configs" / name) for name in configs])
    pairs = [item for key, value in overrides.items() for item in (f"--{key}", str(value))]
    return ["--config_file", files, "--bundle_root", str(bundle), *pairs]


def test_a_misspelt_override_ends_the_command_with_one_line(bundle: Path, tmp_path: Path) -> None:
    done = _command(*_arguments(bundle, "train.json", dataset_dir=tmp_path, epochz=1), cwd=tmp_path)
    assert done.returncode == 1
    assert "unknown override 'epochz': did you mean '--epochs'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_processes_train_with_torchrun(bundle: Path, phantoms: Path, tmp_path: Path, metrics: Callable) -> None:
    done = _command(
        *_arguments(
            bundle, "train.json", "multi_gpu_train.json", dataset_dir=phantoms, output_dir=tmp_path / "out",
            encoder="resnet18", encoder_args="{'stride':8,'base_channels':4}", region_cells=5, view_cells=4,
            window_cells=3, decoder_depth=1, decoder_heads=4, curriculum="step", epochs=1, batch_size=4, num_workers=0,
            warmup_epochs=0, precision="fp32",
        ),
        cwd=tmp_path,
        launcher=("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "-m"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert metrics(tmp_path / "out")["finished"]
    assert load_encoder(tmp_path / "out" / "encoder.pt").embed_dim == 32
