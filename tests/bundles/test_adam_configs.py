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
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, verify_metadata, verify_net_in_out

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
PRESETS = ["hardware/small_machine_adam", "hardware/cpu", "encoders/resnet18_cells16", "datasets/chestxray14"]
#: what belongs to a method; everything else is the same in the bundles of Lamps and Adam
OWN = {
    "train.json": [
        "imports", "epochs", "batch_size", "encoder", "released", "learning_rate", "final_learning_rate",
        "warmup_epochs", "curriculum", "cross_view", "objective_weights", "objective_lengths", "region_cells",
        "view_cells", "window_cells", "decoder_depth", "decoder_heads", "geometry", "granularities", "stage_epochs",
        "reset_queue", "threshold", "temperature", "queue_size", "batch_negatives", "teacher_momentum", "view_size",
        "stages", "reader", "method", "optimizer", "schedules", "pictures", "initialize", "train#preprocessing",
        "validate#preprocessing", "train#clip", "train#trainer#clip", "train#checkpoint#identity",
        "train#pictures#data_loader", "train#exporter#image_size", "train#exporter#preparation", "train#report#chance",
    ],
    "multi_gpu_train.json": ["network#module", "initialize"],
    "inference.json": [],
}  # fmt: skip


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    """Every leaf of a config by its path."""
    if not isinstance(value, dict) or not value:
        return {where: value}
    return {path: leaf for key, item in value.items() for path, leaf in _flat(item, f"{where}#{key}").items()}


@pytest.mark.parametrize("config", list(OWN))
def test_what_both_pretraining_bundles_share_is_the_same(adam_bundle: Path, bundle: Path, config: str) -> None:
    texts = [json.loads((folder / "configs" / config).read_text()) for folder in (adam_bundle, bundle)]
    adam, lamps = (_flat(text) for text in texts)
    own = tuple(f"#{path}" for path in OWN[config])
    differing = {path for path in adam.keys() | lamps.keys() if adam.get(path, "absent") != lamps.get(path, "absent")}
    strange = {path for path in differing if not any(path == o or path.startswith(f"{o}#") for o in own)}
    assert strange == set()
    idle = {o for o in own if not any(path == o or path.startswith(f"{o}#") for path in differing)}
    assert idle == set()
    order = [[key for key in text if f"#{key}" not in own] for text in texts]
    assert order[0] == order[1]


def test_steps_before_the_start_are_those_of_lamps_less_its_released_weights(adam_bundle: Path, bundle: Path) -> None:
    for config in ("train.json", "multi_gpu_train.json"):
        adam, lamps = (json.loads((f / "configs" / config).read_text())["initialize"] for f in (adam_bundle, bundle))
        assert adam == [step for step in lamps if "load_released_lamps" not in step]


@pytest.mark.parametrize("name", ["LICENSE", "configs/logging.conf"])
def test_licence_and_logging_are_those_of_lamps(adam_bundle: Path, bundle: Path, name: str) -> None:
    assert (adam_bundle / name).read_text() == (bundle / name).read_text()


def test_published_settings_are_the_defaults(adam_bundle: Path) -> None:
    train = json.loads((adam_bundle / "configs" / "train.json").read_text())
    published = {
        "granularities": [0, 2, 4], "stage_epochs": 200, "batch_size": 256, "queue_size": 65536, "temperature": 0.2,
        "threshold": 0.8, "reset_queue": False, "encoder": "resnet50", "encoder_args": {}, "warmup_epochs": 0,
        "learning_rate": "$0.03 * @batch_size / 256", "final_learning_rate": 0.0, "view_cells": 7,
        "teacher_momentum": 0.999, "batch_negatives": False,
    }  # fmt: skip
    assert {name: train[name] for name in published} == published
    assert (train["optimizer"]["_target_"], train["optimizer"]["momentum"]) == ("torch.optim.SGD", 0.9)
    assert train["optimizer"]["weight_decay"] == 1e-4
    assert (train["method"]["hidden"], train["method"]["out"]) == (2048, 128)


def test_quickstart_runs_on_built_in_data(run_adam: Run, adam_bundle: Path, tmp_path: Path, metrics: Callable) -> None:
    settings = json.loads((adam_bundle / "configs" / "quickstart.json").read_text())
    tiny = {"phantoms": 20, "phantom_size": 64, "stage_epochs": 1, "batch_size": 4, "queue_size": 32}
    kept = {key: settings[key] for key in settings if key not in (*tiny, "dataset_dir", "output_dir")}
    run_adam("train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **tiny})
    assert metrics(tmp_path)["finished"]
    assert len(list((tmp_path / "phantoms").glob("*.png"))) == 20


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_train_a_step(run_adam: Run, phantoms: Path, tmp_path: Path, preset: str, metrics: Callable) -> None:
    settings = json.loads((ROOT / "configs" / f"{preset}.json").read_text())
    small: dict[str, Any] = {"batch_size": 10, "stage_epochs": 1, "granularities": [2], "num_workers": 0}
    small |= {"view_cells": 2, "queue_size": 16, "val_interval": 9, "warmup_epochs": 0}
    if "patient_pattern" in settings:
        small["patient_pattern"] = "thorax_(\\d+)"  # the phantoms' names, in place of the data set's
    path = ROOT / "configs" / f"{preset}.json"
    run_adam("train.json", path, dataset_dir=phantoms, output_dir=tmp_path, **{**settings, **small})
    assert metrics(tmp_path)["finished"]


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_required_properties_are_there(
    adam_workflow: Run, phantoms: Path, trained_adam: Path, tmp_path: Path, kind: str, config: str
) -> None:
    extra = {} if kind == "train" else {"encoder_file": trained_adam / "encoder.pt", "num_workers": 0}
    flow = adam_workflow(config, kind=kind, dataset_dir=phantoms, output_dir=tmp_path, **extra)
    flow.initialize()
    assert flow.check_properties() == []


def test_metadata_is_valid_and_says_what_the_encoder_takes_and_gives(
    adam_bundle: Path, bundle: Path, tmp_path: Path
) -> None:
    adam, lamps = (json.loads((f / "configs" / "metadata.json").read_text()) for f in (adam_bundle, bundle))
    assert adam.keys() == lamps.keys()
    for key in ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"):
        assert adam[key] == lamps[key]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": list(lamps)}))
    verify_metadata(meta_file=str(adam_bundle / "configs" / "metadata.json"), filepath=str(schema))
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(adam_bundle / "configs" / "metadata.json"),
        config_file=str(adam_bundle / "configs" / "train.json"),
        bundle_root=str(adam_bundle),
        device="cpu",
        n=2,
    )


def test_inference_embeds_with_the_exported_encoder(
    run_adam: Run, phantoms: Path, trained_adam: Path, tmp_path: Path
) -> None:
    run_adam("inference.json", kind="infer", dataset_dir=phantoms, output_dir=tmp_path, num_workers=0, device="cpu",
             encoder_file=trained_adam / "encoder.pt")  # fmt: skip
    embeddings = np.load(tmp_path / "embeddings.npy")
    assert embeddings.shape == (24, 32)
    assert np.ptp(embeddings, axis=0).max() > 0


def _torchrun(bundle: Path, folder: Path, **overrides: Any) -> Path:
    files = json.dumps([str(bundle / "configs" / name) for name in ("train.json", "multi_gpu_train.json")])
    values = {"bundle_root": bundle, "output_dir": folder / "out", **overrides}
    command = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "-m", "monai.bundle", "run"]
    done = subprocess.run(
        [sys.executable, *command, "--config_file", files, *(f"--{key}={value}" for key, value in values.items())],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out"


def _method(out: Path) -> dict[str, torch.Tensor]:
    content = torch.load(sorted((out / "checkpoints").glob("*.pt"))[-1], weights_only=True)
    method: dict[str, torch.Tensor] = content["method"]
    return method


def test_two_processes_train_the_same_weights_and_queue_as_one(
    run_adam: Run, adam_bundle: Path, phantoms: Path, tmp_path: Path
) -> None:
    norm = {"stride": 8, "base_channels": 4, "norm": ["group", {"num_groups": 2}]}
    same: dict[str, Any] = {
        "dataset_dir": phantoms, "encoder": "resnet18", "encoder_args": norm, "view_cells": 4, "granularities": [0, 2],
        "stage_epochs": 1, "queue_size": 18, "batch_size": 4, "num_workers": 0, "precision": "fp32",
        "learning_rate": 0.05, "method#momentum#value": 0.8,
    }  # fmt: skip
    run_adam(output_dir=tmp_path / "one", device="cpu", **same)
    (tmp_path / "two").mkdir()
    one, two = _method(tmp_path / "one"), _method(_torchrun(adam_bundle, tmp_path / "two", **same))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_two_processes_shuffle_for_batch_normalisation(adam_bundle: Path, phantoms: Path, tmp_path: Path) -> None:
    out = _torchrun(
        adam_bundle, tmp_path, dataset_dir=phantoms, encoder="resnet18", view_cells=4, granularities=[2],
        encoder_args={"stride": 8, "base_channels": 4}, stage_epochs=1, queue_size=16, batch_size=4, num_workers=0,
        precision="fp32",
    )  # fmt: skip
    assert json.loads((out / "metrics.json").read_text())["finished"]
