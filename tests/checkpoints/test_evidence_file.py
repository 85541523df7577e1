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

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_lamps.checkpoints import load_evidence_network, read_card, save_encoder, save_evidence_network
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder

CARD: dict[str, Any] = {"image_size": [16, 16], "normalization": {"mean": 0.5, "std": 0.25}, "method": "radlas"}


def _network(width: int = 12) -> EvidenceNetwork:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", stride=8, base_channels=4)
    network = EvidenceNetwork(encoder, TokenDecoder(32, 8, width, 1, 2, position_cells=2), sigma=1.0)
    network.fit_scale(torch.full((3,), 0.25))
    return network.eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save_evidence_network(tmp_path / "evidence.pt", _network(), CARD)


def test_a_file_gives_the_same_evidence_again(file: Path) -> None:
    network, card = load_evidence_network(file)
    images = torch.randn(2, 1, 16, 24)
    ours, theirs = _network().evidence(images), network.evidence(images)
    assert not network.training
    for name in ("restored", "pixel_map", "weights", "clue", "context"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    assert float(network.scale) == 0.25
    assert card["method"] == "radlas"


def test_the_card_says_what_the_network_is_and_how_its_input_is_prepared(file: Path) -> None:
    card = read_card(file)
    network = _network()
    assert card["encoder"] == network.encoder.config
    assert card["evidence"] == network.config
    assert (card["embed_dim"], card["cell"], card["image_size"]) == (32, 8, [16, 16])
    assert len(card["sha256"]) == 64


def test_the_file_holds_tensors_only(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert "scale" in state


def test_an_encoder_file_is_refused(tmp_path: Path) -> None:
    path = save_encoder(tmp_path / "encoder.pt", _network().encoder, CARD)
    with pytest.raises(ValueError, match="is an encoder file, without a decoder; expected an evidence file"):
        load_evidence_network(path)


def test_missing_files_are_named(tmp_path: Path, file: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no evidence file at .*OUT/evidence\.pt"):
        load_evidence_network(tmp_path / "other.pt")
    file.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no evidence card at .*copy both"):
        load_evidence_network(file)


def test_damaged_weights_are_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="does not match its card's sha256"):
        load_evidence_network(file)


def _rewrite(file: Path, content: bytes, **changes: Any) -> None:
    file.write_bytes(content)
    card = {**json.loads(file.with_suffix(".json").read_text()), **changes}
    file.with_suffix(".json").write_text(json.dumps({**card, "sha256": hashlib.sha256(content).hexdigest()}))


def test_anything_but_tensors_is_refused(file: Path) -> None:
    _rewrite(file, b"no tensors")
    with pytest.raises(ValueError, match="does not hold plain tensors and was not loaded"):
        load_evidence_network(file)


def test_weights_of_another_network_are_refused(file: Path) -> None:
    _rewrite(file, file.read_bytes(), evidence=_network(width=24).config)
    with pytest.raises(ValueError, match=r"the weights in .* do not fit its card; copy both files again"):
        load_evidence_network(file)


def test_a_card_of_another_version_is_refused(file: Path) -> None:
    _rewrite(file, file.read_bytes(), evidence={**_network().config, "halo": 3})
    with pytest.raises(ValueError, match="describes no evidence network that this version can build"):
        load_evidence_network(file)


@pytest.mark.parametrize(
    ("name", "card", "error", "message"),
    [
        ("evidence.bin", CARD, ValueError, "an evidence file is named NAME.pt, with NAME.json beside it; got"),
        ("evidence.pt", {"image_size": [16, 16]}, ValueError, r"the evidence card lacks \['normalization'\]"),
        ("evidence.pt", {**CARD, "data": {1, 2}}, TypeError, "must hold numbers, strings, lists and dictionaries"),
    ],
)
def test_files_that_could_not_be_used_are_not_written(
    tmp_path: Path, name: str, card: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        save_evidence_network(tmp_path / name, _network(), card)
    assert list(tmp_path.iterdir()) == []
