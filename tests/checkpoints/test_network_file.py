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
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_lamps.checkpoints import build_network, load_network, read_network_card, save_network_card
from monai_lamps.networks import build_encoder, build_evidence_network

CARD: dict[str, Any] = {
    "task": "segmentation",
    "encoder": {"name": "resnet18", "stride": 8, "base_channels": 4},
    "network": {"kind": "segmenter", "name": "upernet", "out_channels": 2, "args": {"channels": 8}},
    "names": ["heart", "lung"],
    "image_size": 32,
    "normalization": {"mean": 0.5, "std": 0.25},
}
CLASSIFIER = {**CARD, "network": {"kind": "linear_classifier", "classes": 2, "dropout": 0.1}}
EVIDENCE = {
    "encoder": CARD["encoder"],
    "decoder": {"dim": 32, "cell": 8, "width": 16, "depth": 1, "num_heads": 2},
    "sigma": 1.0,
}
DIAGNOSIS = {**CARD, "network": {"kind": "evidence_classifier", "classes": 2, "source": "both", "evidence": EVIDENCE}}


def _write(folder: Path, card: dict[str, Any] = CARD) -> Path:
    torch.manual_seed(0)
    torch.save({"network": build_network(card).state_dict(), "epoch": 3}, folder / "best.pt")
    save_network_card(folder, card)
    return folder / "best.pt"


@pytest.mark.parametrize(("card", "shape"), [(CARD, (1, 2, 32, 32)), (CLASSIFIER, (1, 2)), (DIAGNOSIS, (1, 2))])
def test_a_network_comes_back_as_it_was(tmp_path: Path, card: dict[str, Any], shape: tuple[int, ...]) -> None:
    path = _write(tmp_path, card)
    images = torch.rand(1, 1, 32, 32)
    torch.manual_seed(0)
    expected = build_network(card).eval()(images)
    network = load_network(path)
    assert not network.training
    assert expected.shape == shape
    assert torch.equal(network(images), expected)


def test_the_card_is_found_by_its_folder_its_name_and_its_weights(tmp_path: Path) -> None:
    path = _write(tmp_path)
    assert (
        read_network_card(path) == read_network_card(tmp_path) == read_network_card(tmp_path / "network.json") == CARD
    )


def test_what_is_given_becomes_a_part_of_the_network() -> None:
    encoder = build_encoder(**CARD["encoder"])
    assert build_network(CARD, encoder).encoder is encoder
    evidence = build_evidence_network(EVIDENCE)
    assert build_network(DIAGNOSIS, evidence).grounding is evidence


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no network file at .*best.pt"):
        load_network(tmp_path / "best.pt")
    with pytest.raises(FileNotFoundError, match=r"no network card at .*network.json.*copy the card"):
        read_network_card(tmp_path)


def test_damaged_cards_are_refused(tmp_path: Path) -> None:
    for text, message in [("{", "is not valid JSON"), ("[]", "holds a list"), ("{}", "lacks \\['task', 'encoder'")]:
        (tmp_path / "network.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_network_card(tmp_path)
    with pytest.raises(ValueError, match="lacks \\['names'\\]"):
        save_network_card(tmp_path, {key: value for key, value in CARD.items() if key != "names"})
    with pytest.raises(TypeError, match="must hold numbers, strings"):
        save_network_card(tmp_path, {**CARD, "start": Path("a")})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"kind": "detector"}}, "kind 'detector', expected one of \\['evidence_classifier', 'linear"),
        ({"network": {"kind": "segmenter", "name": "vnet", "out_channels": 1}}, "unknown segmenter 'vnet'"),
        ({"network": {"kind": "linear_classifier", "classes": 2, "depth": 3}}, "can build: .*depth"),
        ({"network": {"kind": "evidence_classifier", "classes": 2}}, "can build: .*built around an EvidenceNetwork"),
        ({"network": {**DIAGNOSIS["network"], "evidence": {}}}, "describes no evidence network"),
        ({"encoder": {"name": "resnet19"}}, "unknown encoder 'resnet19'"),
    ],
)
def test_a_card_of_something_else_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network({**CARD, **changes})


def test_weights_that_do_not_fit_or_hold_code_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path)
    card = {**CARD, "network": {**CARD["network"], "out_channels": 5}}
    (tmp_path / "network.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="do not fit the network of"):
        load_network(path)
    torch.save({"network": Path("code")}, path)
    with pytest.raises(ValueError, match="does not hold plain tensors under 'network'"):
        load_network(path)
    torch.save({"other": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="does not hold plain tensors under 'network'"):
        load_network(path)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="does not hold plain tensors under 'network'"):
        load_network(path)
