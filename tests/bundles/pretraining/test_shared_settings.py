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
"""The pretraining bundles differ in what belongs to a method, and in nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

#: each bundle and the one that it is compared with
LIKE = {"adam": "lamps", "coda": "adam", "radlas": "lamps"}
#: what differs between the two, by config
OWN: dict[str, dict[str, list[str]]] = {
    "adam": {
        "train.json": [
            "imports", "epochs", "batch_size", "encoder", "released", "learning_rate", "final_learning_rate",
            "warmup_epochs", "curriculum", "cross_view", "objective_weights", "objective_lengths", "region_cells",
            "view_cells", "window_cells", "decoder_depth", "decoder_heads", "geometry", "granularities",
            "stage_epochs", "reset_queue", "threshold", "temperature", "queue_size", "batch_negatives",
            "teacher_momentum", "view_size", "stages", "reader", "method", "optimizer", "schedules", "pictures",
            "initialize", "train#preprocessing", "validate#preprocessing", "train#clip", "train#trainer#clip",
            "train#checkpoint#identity", "train#pictures#data_loader", "train#exporter#image_size",
            "train#exporter#preparation", "train#report#chance",
        ],
        "multi_gpu_train.json": ["network#module", "initialize"],
        "inference.json": [],
    },
    "coda": {
        "train.json": [
            "epochs", "batch_size", "encoder", "granularities", "stage_epochs", "reset_queue", "threshold",
            "temperature", "queue_size", "batch_negatives", "teacher_momentum", "learning_rate", "final_learning_rate",
            "warmup_epochs", "stages", "method", "organs", "organ_column", "folder_level", "images_per_organ",
            "inter_weight", "intra_weight", "denominator", "prototypes", "teacher_temperature", "temperature_epochs",
            "local_cells", "local_views", "local_size", "organ_source", "organ_table", "objectives", "optimizer",
            "schedules", "initialize", "train#preprocessing", "train#dataset#data", "train#sampler", "train#clip",
            "train#trainer#clip", "train#checkpoint#identity", "train#report#chance", "train#report#shown",
            "validate#items", "validate#preprocessing", "validate#dataset#data", "pictures#preprocessing",
            "pictures#dataset#data", "pictures#dataloader#batch_size",
        ],
        "multi_gpu_train.json": ["network#module", "initialize"],
        "inference.json": [],
    },
    "radlas": {
        "train.json": [
            "imports", "epochs", "batch_size", "encoder", "released", "curriculum", "cross_view", "objective_weights",
            "objective_lengths", "region_cells", "window_cells", "geometry", "normal_column", "normal_value",
            "lesion_kinds", "lesion_count", "lesion_size", "hide_prob", "ssim_weight", "restoration_weight",
            "discrimination_weight", "context_weight", "true_mask_share", "temperature", "decoder_width", "view_size",
            "evidence_network", "reader", "method", "initialize", "train#preprocessing", "validate#preprocessing",
            "train#dataset#data", "validate#dataset#data", "train#clip#max_norm", "train#checkpoint#identity",
            "train#evidence", "train#exporter#image_size", "train#exporter#preparation", "train#handlers",
            "train#report#chance", "train#report#files",
        ],
        "multi_gpu_train.json": ["initialize"],
        "inference.json": [],
    },
}  # fmt: skip
#: defaults as published, or as those of the precedent of RadLAS
PUBLISHED: dict[str, dict[str, Any]] = {
    "adam": {
        "granularities": [0, 2, 4], "stage_epochs": 200, "batch_size": 256, "queue_size": 65536, "temperature": 0.2,
        "threshold": 0.8, "reset_queue": False, "encoder": "resnet50", "encoder_args": {}, "warmup_epochs": 0,
        "learning_rate": "$0.03 * @batch_size / 256", "final_learning_rate": 0.0, "view_cells": 7,
        "teacher_momentum": 0.999, "batch_negatives": False, "optimizer#_target_": "torch.optim.SGD",
        "optimizer#momentum": 0.9, "optimizer#weight_decay": 1e-4, "method#hidden": 2048, "method#out": 128,
    },
    "coda": {
        "encoder": "convnext_base", "encoder_args": {}, "epochs": 800, "batch_size": 64, "inter_weight": 1.0,
        "intra_weight": 1.0, "prototypes": 65536, "view_cells": 7, "local_cells": 3, "local_views": 12,
        "learning_rate": "$5e-4 * @batch_size / 256", "method#hidden": 2048,
        "optimizer#_target_": "torch.optim.AdamW",
    },
    "radlas": {
        "encoder": "vit_base", "encoder_args": {}, "view_cells": 14, "epochs": 400, "warmup_epochs": 10,
        "learning_rate": "$5e-4 * @batch_size / 256", "teacher_momentum": 0.996, "decoder_width": 512,
        "decoder_depth": 8, "decoder_heads": 16, "lesion_count": [1, 4], "lesion_size": [0.07, 0.57],
        "hide_prob": 0.5, "discrimination_weight": 0.5, "context_weight": 1.0, "temperature": 0.2,
        "optimizer#_target_": "torch.optim.AdamW", "schedules#weight_decay#start": 0.04,
        "schedules#weight_decay#end": 0.4, "train#clip#max_norm": 3.0,
    },
}  # fmt: skip
#: the peak of the learning rate that the default batch gives
PEAK = {"adam": 0.03, "coda": 1.25e-4, "radlas": 1.25e-4}


def _folder(root: Path, name: str) -> Path:
    return root / "bundles" / f"{name}_pretraining"


def _config(root: Path, name: str, config: str = "train.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_folder(root, name) / "configs" / config).read_text())
    return content


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    """Every leaf of a config by its path."""
    if not isinstance(value, dict) or not value:
        return {where: value}
    return {path: leaf for key, item in value.items() for path, leaf in _flat(item, f"{where}#{key}").items()}


@pytest.mark.parametrize(("name", "config"), [(name, config) for name in OWN for config in OWN[name]])
def test_what_does_not_belong_to_the_method_is_the_same(root: Path, name: str, config: str) -> None:
    texts = [_config(root, bundle, config) for bundle in (name, LIKE[name])]
    ours, theirs = (_flat(text) for text in texts)
    own = tuple(f"#{path}" for path in OWN[name][config])
    differing = {path for path in ours.keys() | theirs.keys() if ours.get(path, "absent") != theirs.get(path, "absent")}
    strange = {path for path in differing if not any(path == o or path.startswith(f"{o}#") for o in own)}
    assert strange == set()
    idle = {o for o in own if not any(path == o or path.startswith(f"{o}#") for path in differing)}
    assert idle == set()
    order = [[key for key in text if f"#{key}" not in own] for text in texts]
    assert order[0] == order[1]


@pytest.mark.parametrize("file", ["LICENSE", "configs/logging.conf"])
@pytest.mark.parametrize("name", LIKE)
def test_licence_and_logging_are_the_same(root: Path, name: str, file: str) -> None:
    assert (_folder(root, name) / file).read_text() == (_folder(root, LIKE[name]) / file).read_text()


@pytest.mark.parametrize("config", ["train.json", "multi_gpu_train.json"])
@pytest.mark.parametrize("name", ["adam", "radlas"])
def test_steps_before_the_start_are_those_of_lamps_less_its_released_weights(
    root: Path, name: str, config: str
) -> None:
    ours, lamps = (_config(root, bundle, config)["initialize"] for bundle in (name, "lamps"))
    assert ours == [step for step in lamps if "load_released_lamps" not in step]


@pytest.mark.parametrize("config", ["train.json", "multi_gpu_train.json"])
def test_steps_before_the_start_are_those_of_adam_and_the_organs_of_coda(root: Path, config: str) -> None:
    coda, adam = (_config(root, bundle, config)["initialize"] for bundle in ("coda", "adam"))
    assert [step for step in coda if step != "$@organ_table"] == adam
    assert coda.index("$@organ_table") == coda.index("$@datalist_file") + 1


def test_handlers_and_files_are_those_of_lamps_and_the_evidence_of_radlas(root: Path) -> None:
    radlas, lamps = (_config(root, bundle)["train"] for bundle in ("radlas", "lamps"))
    evidence = {"_target_": "monai_lamps.bundle.named", "handler": "@train#evidence"}
    names = [handler.get("handler") for handler in radlas["handlers"]]
    assert [handler for handler in radlas["handlers"] if handler != evidence] == lamps["handlers"]
    assert names.index("@train#evidence") < names.index("@train#monitor") < names.index("@train#pictures")
    files = {name: path for name, path in radlas["report"]["files"].items() if name != "evidence network"}
    assert files == lamps["report"]["files"]


def test_coda_and_lamps_are_optimised_alike(root: Path) -> None:
    coda, lamps = (_config(root, bundle) for bundle in ("coda", "lamps"))
    for key in ("optimizer", "schedules", "learning_rate", "final_learning_rate", "warmup_epochs"):
        assert coda[key] == lamps[key]
    assert coda["train"]["clip"]["_target_"] == lamps["train"]["clip"]["_target_"]
    assert list(coda["train"]) == list(lamps["train"])


def test_lamps_and_adam_watch_anatomy_alike(root: Path) -> None:
    texts = [_config(root, bundle) for bundle in ("lamps", "adam")]
    assert texts[0]["train"]["anatomy"] == texts[1]["train"]["anatomy"]
    own = ("anatomy_interval", "anatomy_images", "anatomy_landmarks")
    assert [text[name] for text in texts for name in own] == [0, 16, "none"] * 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_are_the_defaults(root: Path, name: str) -> None:
    parser = ConfigParser(_config(root, name))
    assert {path: parser[path] for path in PUBLISHED[name]} == PUBLISHED[name]
    assert parser.get_parsed_content("learning_rate") == pytest.approx(PEAK[name])


@pytest.mark.parametrize("name", LIKE)
def test_metadata_have_the_fields_and_versions_of_lamps(root: Path, name: str) -> None:
    ours, lamps = (_config(root, bundle, "metadata.json") for bundle in (name, "lamps"))
    assert ours.keys() == lamps.keys()
    for key in ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"):
        assert ours[key] == lamps[key]


def test_metadata_of_radlas_say_that_it_is_an_implementation_of_our_own(root: Path) -> None:
    assert "independent implementation" in _config(root, "radlas", "metadata.json")["description"]
