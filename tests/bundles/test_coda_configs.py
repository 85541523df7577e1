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
PRESETS = ["hardware/small_machine_coda", "hardware/cpu", "encoders/resnet18_cells16", "encoders/convnext_tiny"]
OWN = {
    "train.json": [
        "epochs", "batch_size", "encoder", "granularities", "stage_epochs", "reset_queue", "threshold", "temperature",
        "queue_size", "batch_negatives", "teacher_momentum", "learning_rate", "final_learning_rate", "warmup_epochs",
        "stages", "method", "organs", "organ_column", "folder_level", "images_per_organ", "inter_weight",
        "intra_weight", "denominator", "prototypes", "teacher_temperature", "temperature_epochs", "local_cells",
        "local_views", "local_size", "organ_source", "organ_table", "objectives", "optimizer", "schedules",
        "initialize", "train#preprocessing", "train#dataset#data", "train#sampler", "train#clip", "train#trainer#clip",
        "train#checkpoint#identity", "train#report#chance", "train#report#shown", "validate#items",
        "validate#preprocessing", "validate#dataset#data", "pictures#preprocessing", "pictures#dataset#data",
        "pictures#dataloader#batch_size",
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
def test_what_coda_shares_with_adam_is_the_same(coda_bundle: Path, adam_bundle: Path, config: str) -> None:
    texts = [json.loads((folder / "configs" / config).read_text()) for folder in (coda_bundle, adam_bundle)]
    coda, adam = (_flat(text) for text in texts)
    own = tuple(f"#{path}" for path in OWN[config])
    differing = {path for path in coda.keys() | adam.keys() if coda.get(path, "absent") != adam.get(path, "absent")}
    strange = {path for path in differing if not any(path == o or path.startswith(f"{o}#") for o in own)}
    assert strange == set()
    idle = {o for o in own if not any(path == o or path.startswith(f"{o}#") for path in differing)}
    assert idle == set()
    order = [[key for key in text if f"#{key}" not in own] for text in texts]
    assert order[0] == order[1]


def test_what_coda_and_lamps_train_with_is_the_same(coda_bundle: Path, bundle: Path) -> None:
    coda, lamps = (json.loads((f / "configs" / "train.json").read_text()) for f in (coda_bundle, bundle))
    for key in ("optimizer", "schedules", "learning_rate", "final_learning_rate", "warmup_epochs"):
        assert coda[key] == lamps[key]
    assert coda["train"]["clip"]["_target_"] == lamps["train"]["clip"]["_target_"]
    assert list(coda["train"]) == list(lamps["train"])


def test_steps_before_the_start_are_those_of_adam_and_the_organs(coda_bundle: Path, adam_bundle: Path) -> None:
    for config in ("train.json", "multi_gpu_train.json"):
        coda, adam = (
            json.loads((f / "configs" / config).read_text())["initialize"] for f in (coda_bundle, adam_bundle)
        )
        assert [step for step in coda if step != "$@organ_table"] == adam
        assert coda.index("$@organ_table") == coda.index("$@datalist_file") + 1


@pytest.mark.parametrize("name", ["LICENSE", "configs/logging.conf"])
def test_licence_and_logging_are_those_of_adam(coda_bundle: Path, adam_bundle: Path, name: str) -> None:
    assert (coda_bundle / name).read_text() == (adam_bundle / name).read_text()


def test_published_settings_are_the_defaults(coda_bundle: Path) -> None:
    train = json.loads((coda_bundle / "configs" / "train.json").read_text())
    published = {
        "encoder": "convnext_base", "encoder_args": {}, "epochs": 800, "batch_size": 64, "inter_weight": 1.0,
        "intra_weight": 1.0, "prototypes": 65536, "view_cells": 7, "local_cells": 3, "local_views": 12,
        "learning_rate": "$5e-4 * @batch_size / 256",
    }  # fmt: skip
    assert {name: train[name] for name in published} == published
    assert 5e-4 * 64 / 256 == 1.25e-4
    assert train["method"]["hidden"] == 2048
    assert train["optimizer"]["_target_"] == "torch.optim.AdamW"


def test_the_views_are_cut_at_the_published_scales(coda_workflow: Run, body_parts: Path, tmp_path: Path) -> None:
    flow = coda_workflow(datalist=body_parts, output_dir=tmp_path)
    flow.initialize()
    views = flow.parser.get_parsed_content("train#preprocessing").transforms[1]
    assert [crop.area for crop in views.crops.crops] == [(0.8, 1.0), (0.4, 0.7)]
    assert [crop.cell for crop in views.crops.crops] == [32, 16]
    assert views.crops.counts == (2, 2)


def test_quickstart_runs_on_built_in_data(run_coda: Run, coda_bundle: Path, tmp_path: Path, metrics: Callable) -> None:
    settings = json.loads((coda_bundle / "configs" / "quickstart.json").read_text())
    tiny = {"phantoms": 5, "phantom_size": 64, "epochs": 1, "batch_size": 8, "local_views": 2, "prototypes": 16}
    kept = {key: settings[key] for key in settings if key not in (*tiny, "datalist", "output_dir")}
    flow = run_coda("train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **tiny})
    assert metrics(tmp_path)["finished"]
    assert len(list((tmp_path / "body_parts").rglob("*.png"))) == 5 * 7
    assert len(flow.parser.get_parsed_content("organ_table").names) == 7


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_train_a_step(run_coda: Run, body_parts: Path, tmp_path: Path, preset: str, metrics: Callable) -> None:
    settings = json.loads((ROOT / "configs" / f"{preset}.json").read_text())
    small: dict[str, Any] = {"batch_size": 12, "epochs": 1, "num_workers": 0, "view_cells": 2, "local_cells": 1}
    small |= {"prototypes": 16, "local_views": 2, "val_interval": 9, "warmup_epochs": 0}
    path = ROOT / "configs" / f"{preset}.json"
    run_coda("train.json", path, datalist=body_parts, output_dir=tmp_path, **{**settings, **small})
    assert metrics(tmp_path)["finished"]


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_required_properties_are_there(
    coda_workflow: Run, body_parts: Path, trained_coda: Path, tmp_path: Path, kind: str, config: str
) -> None:
    extra = {} if kind == "train" else {"encoder_file": trained_coda / "encoder.pt", "num_workers": 0}
    flow = coda_workflow(config, kind=kind, datalist=body_parts, output_dir=tmp_path, **extra)
    flow.initialize()
    assert flow.check_properties() == []


def test_metadata_is_valid_and_says_what_the_encoder_takes_and_gives(
    coda_bundle: Path, bundle: Path, tmp_path: Path
) -> None:
    coda, lamps = (json.loads((f / "configs" / "metadata.json").read_text()) for f in (coda_bundle, bundle))
    assert coda.keys() == lamps.keys()
    for key in ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"):
        assert coda[key] == lamps[key]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": list(lamps)}))
    verify_metadata(meta_file=str(coda_bundle / "configs" / "metadata.json"), filepath=str(schema))
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(coda_bundle / "configs" / "metadata.json"),
        config_file=str(coda_bundle / "configs" / "train.json"),
        bundle_root=str(coda_bundle),
        device="cpu",
        n=2,
    )


def test_inference_embeds_with_the_exported_encoder(
    run_coda: Run, body_parts: Path, trained_coda: Path, tmp_path: Path
) -> None:
    run_coda("inference.json", kind="infer", datalist=body_parts, output_dir=tmp_path, num_workers=0, device="cpu",
             encoder_file=trained_coda / "encoder.pt")  # fmt: skip
    embeddings = np.load(tmp_path / "embeddings.npy")
    assert embeddings.shape == (18, 32)
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


def test_two_processes_train_the_same_weights_and_centre_as_one(
    run_coda: Run, coda_bundle: Path, body_parts: Path, tmp_path: Path
) -> None:
    # AdamW makes a step of the learning rate out of a gradient that is zero but for rounding; an eps of 1e-4 does not.
    # The maximum over equal neighbours of a ResNet's stem is at another place after rounding; a Swin has none.
    swin = {"patch_size": 8, "embed_dim": 16, "depths": [2], "num_heads": [2], "window_size": 2, "drop_path": 0.0}
    same: dict[str, Any] = {
        "datalist": body_parts, "encoder": "swin_tiny", "encoder_args": swin, "view_cells": 4, "local_cells": 2,
        "local_views": 2, "epochs": 2, "images_per_organ": 2, "prototypes": 16, "method#hidden": 16,
        "temperature_epochs": 1, "batch_size": 4, "num_workers": 0, "warmup_epochs": 0, "precision": "fp32",
        "learning_rate": 5e-3, "optimizer#eps": 1e-4, "teacher_momentum": 0.8,
    }  # fmt: skip
    run_coda(output_dir=tmp_path / "one", device="cpu", **same)
    (tmp_path / "two").mkdir()
    one, two = _method(tmp_path / "one"), _method(_torchrun(coda_bundle, tmp_path / "two", **same))
    assert one.keys() == two.keys()
    assert "intra_loss.center" in one
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
