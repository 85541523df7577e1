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
"""What each pretraining bundle is given by its configs: quickstart, presets, properties, inference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[3]
OTHERS = ("_adam", "_coda", "_radlas")
#: of Lamps all but those of fine-tuning, configs/protocols, and of the other methods
PRESETS = {
    "lamps": [
        path.relative_to(ROOT / "configs").with_suffix("").as_posix()
        for path in sorted((ROOT / "configs").rglob("*.json"), key=str)
        if path.parent.name != "protocols" and not path.stem.endswith(OTHERS)
    ],
    "adam": ["hardware/small_machine_adam", "hardware/cpu", "encoders/resnet18_cells16", "datasets/chestxray14"],
    "coda": ["hardware/small_machine_coda", "hardware/cpu", "encoders/resnet18_cells16", "encoders/convnext_tiny"],
    "radlas": ["hardware/small_machine_radlas", "hardware/cpu", "encoders/vit_base", "datasets/chestxray14"],
}
#: what replaces settings of a preset, so that it takes one step
STEP: dict[str, dict[str, Any]] = {
    "lamps": {"epochs": 1},
    "adam": {
        "stage_epochs": 1, "granularities": [2], "view_cells": 2, "queue_size": 16, "val_interval": 9,
        "warmup_epochs": 0,
    },
    "coda": {
        "batch_size": 12, "epochs": 1, "view_cells": 2, "local_cells": 1, "prototypes": 16, "local_views": 2,
        "val_interval": 9, "warmup_epochs": 0,
    },
    "radlas": {
        "epochs": 1, "view_cells": 2, "decoder_width": 12, "decoder_heads": 3, "val_interval": 9, "warmup_epochs": 0,
    },
}  # fmt: skip
#: what replaces settings of the quickstart, so that it takes seconds
QUICK: dict[str, dict[str, Any]] = {
    "lamps": {"phantoms": 20, "phantom_size": 64, "epochs": 1, "batch_size": 4},
    "adam": {"phantoms": 20, "phantom_size": 64, "stage_epochs": 1, "batch_size": 4, "queue_size": 32},
    "coda": {"phantoms": 5, "phantom_size": 64, "epochs": 1, "batch_size": 8, "local_views": 2, "prototypes": 16},
    "radlas": {"phantoms": 20, "phantom_size": 104, "epochs": 1, "batch_size": 4, "warmup_epochs": 0},
}


def test_quickstart_runs_on_built_in_data(
    run: Run, bundle: Path, method: str, tmp_path: Path, metrics: Callable
) -> None:
    settings = json.loads((bundle / "configs" / "quickstart.json").read_text())
    kept = {key: settings[key] for key in settings if key not in ("dataset_dir", "datalist", "output_dir")}
    flow = run("train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **QUICK[method]})
    assert metrics(tmp_path)["finished"]
    made = tmp_path / ("body_parts" if method == "coda" else "phantoms")
    assert len(list(made.rglob("*.png"))) == (5 * 7 if method == "coda" else 20)
    if method == "coda":
        assert len(flow.parser.get_parsed_content("organ_table").names) == 7


def _for_a_step(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a preset for phantoms of 48 px, with what makes it take one step."""
    small: dict[str, Any] = {"batch_size": 10, "num_workers": 0, **STEP[method]}
    if method == "lamps" and "encoder" in settings:
        small = {"region_cells": 3, "view_cells": 2, "window_cells": 1, "curriculum": "joint", **settings, **small}
    if method == "radlas" and settings.get("encoder") == "vit_base":
        small["encoder_args"] = {"depth": 1}
    if "patient_pattern" in settings:
        small["patient_pattern"] = "thorax_(\\d+)"  # the phantoms' names, in place of the data set's
    if "released" in settings:
        small["released"] = None  # no weights of others are distributed; tests/checkpoints imports synthetic ones
    return {**settings, **small}


@pytest.mark.parametrize(
    ("method", "preset"), [(name, preset) for name in PRESETS for preset in PRESETS[name]], indirect=["method"]
)
def test_every_preset_trains_a_step(
    run: Run, data: dict[str, Any], method: str, tmp_path: Path, preset: str, metrics: Callable
) -> None:
    path = ROOT / "configs" / f"{preset}.json"
    settings = json.loads(path.read_text())
    if str(settings.get("device", "")).startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("this preset needs a GPU")
    run("train.json", path, **data, output_dir=tmp_path, **_for_a_step(method, settings))
    assert metrics(tmp_path)["finished"]


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_required_properties_are_there(
    workflow: Run, data: dict[str, Any], trained: Path, tmp_path: Path, kind: str, config: str
) -> None:
    extra = {} if kind == "train" else {"encoder_file": trained / "encoder.pt"}
    flow = workflow(config, kind=kind, **data, output_dir=tmp_path, **extra)
    flow.initialize()
    assert flow.check_properties() == []


@pytest.mark.parametrize(
    ("method", "dense"),
    [("lamps", False), ("lamps", True), ("adam", False), ("coda", False), ("radlas", False)],
    indirect=["method"],
)
def test_inference_writes_embeddings_and_names_every_image(
    run: Run, folder: dict[str, Any], trained: Path, tmp_path: Path, dense: bool
) -> None:
    images = tmp_path / "data"
    shutil.copytree(folder["dataset_dir"], images)
    some = min(images.rglob("*_00003.png"))
    shutil.copy(some, some.with_name(f"{some.stem}_copy.png"))
    options = {"kind": "infer", "dense": dense, "encoder_file": trained / "encoder.pt", "batch_size": 5}
    run("inference.json", dataset_dir=images, output_dir=tmp_path, **options)
    embeddings = np.load(tmp_path / "embeddings.npy")
    rows = (tmp_path / "embeddings.csv").read_text().splitlines()[1:]
    assert embeddings.shape == (25, 32)  # the duplicate, too
    assert sorted(Path(row.split(",")[1]).name for row in rows) == sorted(p.name for p in images.rglob("*.png"))
    assert np.ptp(embeddings, axis=0).max() > 0
    assert (tmp_path / "dense_embeddings.npy").exists() == dense
    if dense:
        tokens = np.load(tmp_path / "dense_embeddings.npy")
        assert tokens.shape == (25, 25, 32)  # 5 x 5 cells: the region, at the scale of training
        np.testing.assert_allclose(tokens.mean(1), embeddings, rtol=1e-5, atol=1e-6)
