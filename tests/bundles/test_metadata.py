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
"""What the metadata of every bundle say, and that the network does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import verify_metadata, verify_net_in_out

ROOT = Path(__file__).resolve().parents[2]
#: bundle: config with its network, and what MONAI's command is given beside
BUNDLES: dict[str, tuple[str, dict[str, Any]]] = {
    "lamps_pretraining": ("train.json", {"n": 7}),
    "adam_pretraining": ("train.json", {"n": 2}),
    "coda_pretraining": ("train.json", {"n": 2}),
    "radlas_pretraining": ("train.json", {"n": 2}),
    "radiograph_segmentation": ("train.json", {"n": 2, "image_size": 64}),
    "radiograph_classification": ("train.json", {"n": 2, "image_size": 64}),
    "anatomy_evaluation": ("evaluate.json", {"n": 2, "encoders": {"random": "none"}}),
}
#: required by the model zoo's schema of 2024-07-25
REQUIRED = [
    "schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task",
    "description", "authors", "copyright", "network_data_format",
]  # fmt: skip


def test_every_bundle_is_here() -> None:
    assert {path.name for path in (ROOT / "bundles").iterdir() if (path / "configs").is_dir()} == set(BUNDLES)


@pytest.fixture(params=list(BUNDLES))
def name(request: pytest.FixtureRequest) -> str:
    """The name of a bundle."""
    return request.param


@pytest.fixture
def file(name: str) -> Path:
    """Its metadata."""
    return ROOT / "bundles" / name / "configs" / "metadata.json"


def test_metadata_are_valid_and_name_the_versions_that_are_tested(file: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(
        json.dumps({"type": "object", "required": REQUIRED, "properties": {"authors": {"type": "string"}}})
    )
    verify_metadata(meta_file=str(file), filepath=str(schema))
    metadata = json.loads(file.read_text())
    assert metadata["version"] in metadata["changelog"]
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    named = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    assert named.pop("monai_lamps") == metadata["version"]
    assert {package: pinned[package] for package in named} == named


def test_all_metadata_have_the_same_entries_and_schema(file: Path) -> None:
    first = json.loads((ROOT / "bundles/lamps_pretraining/configs/metadata.json").read_text())
    metadata = json.loads(file.read_text())
    assert metadata.keys() == first.keys()
    assert metadata["schema"] == first["schema"]


def test_the_network_takes_and_gives_what_the_metadata_say(name: str, file: Path) -> None:
    config, options = BUNDLES[name]
    bundle = ROOT / "bundles" / name
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(file),
        config_file=str(bundle / "configs" / config),
        bundle_root=str(bundle),
        device="cpu",
        **options,
    )
