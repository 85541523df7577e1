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
PRESETS = ["hardware/small_machine_radlas", "hardware/cpu", "encoders/vit_base", "datasets/chestxray14"]
#: what belongs to a method; everything else is the same in the bundles of Lamps and RadLAS
OWN = {
    "train.json": [
        "imports", "epochs", "batch_size", "encoder", "released", "curriculum", "cross_view", "objective_weights",
        "objective_lengths", "region_cells", "window_cells", "geometry", "normal_column", "normal_value",
        "lesion_kinds", "lesion_count", "lesion_size", "hide_prob", "ssim_weight", "restoration_weight",
        "discrimination_weight", "context_weight", "true_mask_share", "temperature",
        "decoder_width", "view_size", "evidence_network", "reader", "method", "initialize", "train#preprocessing",
        "validate#preprocessing", "train#dataset#data", "validate#dataset#data", "train#clip#max_norm",
        "train#checkpoint#identity", "train#evidence", "train#exporter#image_size", "train#exporter#preparation",
        "train#handlers", "train#report#chance", "train#report#files",
    ],
    "multi_gpu_train.json": ["initialize"],
    "inference.json": [],
}  # fmt: skip


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    """Every leaf of a config by its path."""
    if not isinstance(value, dict) or not value:
        return {where: value}
    return {path: leaf for key, item in value.items() for path, leaf in _flat(item, f"{where}#{key}").items()}


@pytest.mark.parametrize("config", list(OWN))
def test_what_the_pretraining_bundles_share_is_the_same(radlas_bundle: Path, bundle: Path, config: str) -> None:
    texts = [json.loads((folder / "configs" / config).read_text()) for folder in (radlas_bundle, bundle)]
    radlas, lamps = (_flat(text) for text in texts)
    own = tuple(f"#{path}" for path in OWN[config])
    names = radlas.keys() | lamps.keys()
    differing = {path for path in names if radlas.get(path, "absent") != lamps.get(path, "absent")}
    strange = {path for path in differing if not any(path == o or path.startswith(f"{o}#") for o in own)}
    assert strange == set()
    idle = {o for o in own if not any(path == o or path.startswith(f"{o}#") for path in differing)}
    assert idle == set()
    order = [[key for key in text if f"#{key}" not in own] for text in texts]
    assert order[0] == order[1]


def test_steps_and_handlers_are_those_of_lamps_but_for_the_evidence(radlas_bundle: Path, bundle: Path) -> None:
    for config in ("train.json", "multi_gpu_train.json"):
        radlas, lamps = (json.loads((f / "configs" / config).read_text()) for f in (radlas_bundle, bundle))
        assert radlas["initialize"] == [step for step in lamps["initialize"] if "load_released_lamps" not in step]
    radlas, lamps = (json.loads((f / "configs" / "train.json").read_text())["train"] for f in (radlas_bundle, bundle))
    evidence = {"_target_": "monai_lamps.bundle.named", "handler": "@train#evidence"}
    names = [handler.get("handler") for handler in radlas["handlers"]]
    assert [handler for handler in radlas["handlers"] if handler != evidence] == lamps["handlers"]
    assert names.index("@train#evidence") < names.index("@train#monitor") < names.index("@train#pictures")
    files = {name: path for name, path in radlas["report"]["files"].items() if name != "evidence network"}
    assert files == lamps["report"]["files"]


@pytest.mark.parametrize("name", ["LICENSE", "configs/logging.conf"])
def test_licence_and_logging_are_those_of_lamps(radlas_bundle: Path, bundle: Path, name: str) -> None:
    assert (radlas_bundle / name).read_text() == (bundle / name).read_text()


def test_settings_of_the_precedent_are_the_defaults(radlas_bundle: Path) -> None:
    train = json.loads((radlas_bundle / "configs" / "train.json").read_text())
    settings = {
        "encoder": "vit_base", "encoder_args": {}, "view_cells": 14, "epochs": 400, "warmup_epochs": 10,
        "learning_rate": "$5e-4 * @batch_size / 256", "teacher_momentum": 0.996, "decoder_width": 512,
        "decoder_depth": 8, "decoder_heads": 16, "lesion_count": [1, 4], "lesion_size": [0.07, 0.57],
        "hide_prob": 0.5, "discrimination_weight": 0.5, "context_weight": 1.0, "temperature": 0.2,
    }  # fmt: skip
    assert {name: train[name] for name in settings} == settings
    assert train["optimizer"]["_target_"] == "torch.optim.AdamW"
    assert [train["schedules"]["weight_decay"][end] for end in ("start", "end")] == [0.04, 0.4]
    assert train["train"]["clip"]["max_norm"] == 3.0


def test_quickstart_runs_on_built_in_data(
    run_radlas: Run, radlas_bundle: Path, tmp_path: Path, metrics: Callable
) -> None:
    settings = json.loads((radlas_bundle / "configs" / "quickstart.json").read_text())
    tiny = {"phantoms": 20, "phantom_size": 104, "epochs": 1, "batch_size": 4, "warmup_epochs": 0}
    kept = {key: settings[key] for key in settings if key not in (*tiny, "dataset_dir", "output_dir")}
    run_radlas("train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **tiny})
    assert metrics(tmp_path)["finished"]
    assert len(list((tmp_path / "phantoms").glob("*.png"))) == 20


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_train_a_step(run_radlas: Run, phantoms: Path, tmp_path: Path, preset: str, metrics: Callable) -> None:
    settings = json.loads((ROOT / "configs" / f"{preset}.json").read_text())
    small: dict[str, Any] = {"batch_size": 10, "epochs": 1, "num_workers": 0, "view_cells": 2, "val_interval": 9}
    small |= {"decoder_width": 12, "decoder_heads": 3, "warmup_epochs": 0}
    if settings.get("encoder") == "vit_base":
        small["encoder_args"] = {"depth": 1}
    if "patient_pattern" in settings:
        small["patient_pattern"] = "thorax_(\\d+)"  # the phantoms' names, in place of the data set's
    path = ROOT / "configs" / f"{preset}.json"
    run_radlas("train.json", path, dataset_dir=phantoms, output_dir=tmp_path, **{**settings, **small})
    assert metrics(tmp_path)["finished"]


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_required_properties_are_there(
    radlas_workflow: Run, phantoms: Path, trained_radlas: Path, tmp_path: Path, kind: str, config: str
) -> None:
    extra = {} if kind == "train" else {"encoder_file": trained_radlas / "encoder.pt", "num_workers": 0}
    flow = radlas_workflow(config, kind=kind, dataset_dir=phantoms, output_dir=tmp_path, **extra)
    flow.initialize()
    assert flow.check_properties() == []


def test_metadata_is_valid_and_says_what_the_encoder_takes_and_gives(
    radlas_bundle: Path, bundle: Path, tmp_path: Path
) -> None:
    radlas, lamps = (json.loads((f / "configs" / "metadata.json").read_text()) for f in (radlas_bundle, bundle))
    assert radlas.keys() == lamps.keys()
    for key in ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"):
        assert radlas[key] == lamps[key]
    assert "independent implementation" in radlas["description"]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": list(lamps)}))
    verify_metadata(meta_file=str(radlas_bundle / "configs" / "metadata.json"), filepath=str(schema))
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(radlas_bundle / "configs" / "metadata.json"),
        config_file=str(radlas_bundle / "configs" / "train.json"),
        bundle_root=str(radlas_bundle),
        device="cpu",
        n=2,
    )


def test_inference_embeds_with_the_exported_encoder(
    run_radlas: Run, phantoms: Path, trained_radlas: Path, tmp_path: Path
) -> None:
    run_radlas("inference.json", kind="infer", dataset_dir=phantoms, output_dir=tmp_path, num_workers=0, device="cpu",
               encoder_file=trained_radlas / "encoder.pt")  # fmt: skip
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


def test_two_processes_train_the_same_weights_as_one(
    run_radlas: Run, radlas_bundle: Path, phantoms: Path, tmp_path: Path
) -> None:
    same: dict[str, Any] = {
        "dataset_dir": phantoms, "encoder": "resnet18", "view_cells": 4, "epochs": 2, "batch_size": 4,
        "encoder_args": {"stride": 8, "base_channels": 4, "norm": ["group", {"num_groups": 2}]}, "num_workers": 0,
        "precision": "fp32", "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2, "warmup_epochs": 0,
        "learning_rate": 0.001, "teacher_momentum": 0.8,
    }  # fmt: skip
    run_radlas(output_dir=tmp_path / "one", device="cpu", **same)
    (tmp_path / "two").mkdir()
    one, two = _method(tmp_path / "one"), _method(_torchrun(radlas_bundle, tmp_path / "two", **same))
    assert one.keys() == two.keys()
    for name in one:
        if name.endswith("scale"):  # a percentile of two halves is not quite that of the whole
            torch.testing.assert_close(two[name], one[name], rtol=0.05, atol=0)
            continue
        torch.testing.assert_close(
            two[name], one[name], rtol=1e-2, atol=1e-3, msg=lambda text, name=name: f"{name}: {text}"
        )
