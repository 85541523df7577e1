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

from pathlib import Path
from typing import Any

import pytest
import torch

from monai_lamps.bundle import starting_classifier, starting_encoder
from monai_lamps.checkpoints import build_network, save_encoder, save_evidence_network
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder
from monai_lamps.tasks import EvidenceClassifier, LinearClassifier

TINY: dict[str, Any] = {"stride": 8, "base_channels": 4}
CARD = {"image_size": [32, 32], "normalization": {"mean": 0.4, "std": 0.3}, "method": "radlas", "epochs": 5}


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    encoder = build_encoder("resnet18", **TINY)
    decoder = TokenDecoder(encoder.embed_dim, encoder.cell, width=16, depth=1, num_heads=2)
    return save_evidence_network(tmp_path / "evidence.pt", EvidenceNetwork(encoder, decoder), CARD)


def _card(start: Any) -> dict[str, Any]:
    return {"encoder": start.encoder.config, "network": start.head(2, 0.1)}


def test_an_evidence_file_becomes_an_evidence_classifier_with_its_weights(evidence: Path) -> None:
    start = starting_classifier("evidence", evidence, "clue", image_size=32)
    assert start.normalization == {"mean": 0.4, "std": 0.3}
    assert (start.source["evidence"], start.source["method"], start.source["epochs"]) == ("evidence.pt", "radlas", 5)
    network = build_network(_card(start), start.module)
    assert isinstance(network, EvidenceClassifier)
    assert (network.parts, network.head.out_features, network.dropout.p) == (("clue",), 2, 0.1)
    saved = torch.load(evidence, weights_only=True)
    assert all(torch.equal(value, saved[name]) for name, value in network.grounding.state_dict().items())
    rebuilt = build_network(_card(start))
    rebuilt.load_state_dict(network.state_dict())


def test_an_encoder_becomes_a_linear_classifier(tmp_path: Path) -> None:
    path = save_encoder(tmp_path / "encoder.pt", build_encoder("resnet18", **TINY), CARD)
    start = starting_classifier("linear", encoder=path, image_size=32)
    assert start.source == starting_encoder(path).source
    network = build_network(_card(start), start.module)
    assert isinstance(network, LinearClassifier)
    assert network.encoder is start.encoder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "mlp"}, "head got 'mlp', expected one of linear, evidence"),
        ({"head": "linear"}, "but a linear head has no use for it; add --head evidence"),
        ({"evidence": ""}, "an evidence head needs --evidence OUT/evidence.pt"),
        ({"encoder": "encoder.pt"}, r"'encoder.pt', but an evidence head takes the encoder of .*evidence.pt"),
        ({"image_size": 36}, "image_size got 36, expected a multiple of the encoder's cell of 8 px, such as 32 or 40"),
    ],
)
def test_wrong_use_is_named_with_its_mend(evidence: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        starting_classifier(**{"head": "evidence", "evidence": evidence, **arguments})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no evidence file at .*nowhere.pt"):
        starting_classifier("evidence", tmp_path / "nowhere.pt")
