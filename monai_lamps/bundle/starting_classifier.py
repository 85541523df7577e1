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
"""What a classifier starts from: an encoder, or an evidence network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_lamps.bundle.starting_encoder import StartingEncoder, check_encoder, starting_encoder
from monai_lamps.checkpoints import load_evidence_network
from monai_lamps.networks import EvidenceNetwork

__all__ = ["StartingEvidence", "starting_classifier"]

_HEADS = ("linear", "evidence")


@dataclass(frozen=True)
class StartingEvidence(StartingEncoder):
    """An evidence network whose encoder is fine-tuned, and which says where the evidence is.

    Attributes:
        network: with its weights.
        reads: what the head reads, see :class:`~monai_lamps.tasks.EvidenceClassifier`.
    """

    network: EvidenceNetwork = field(kw_only=True)
    reads: str = "both"

    @property
    def module(self) -> EvidenceNetwork:
        """What a network is built around: the evidence network."""
        return self.network

    def head(self, classes: int, dropout: float = 0.0) -> dict[str, Any]:
        """The entry ``network`` of the card of an evidence classifier."""
        own = {"source": self.reads, "evidence": self.network.config}
        return {"kind": "evidence_classifier", "classes": classes, "dropout": dropout, **own}


def starting_classifier(
    head: str, evidence: str | Path = "", reads: str = "both", encoder: str | Path = "none", **options: Any
) -> StartingEncoder:
    """What a classifier starts from.

    Args:
        head: "linear": a linear layer on the mean token of an encoder; "evidence": one on the tokens that the evidence
            map shows.
        evidence: ``evidence.pt`` of a RadLAS pretraining run, for an evidence head; it has its own encoder.
        reads: what an evidence head reads: "both", "clue" or "context".
        encoder: for a linear head, see :func:`~monai_lamps.bundle.starting_encoder`.
        options: of that function, for a linear head; ``image_size`` is checked in any case.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the head is unknown, files are given that it does not use or lacks, or one cannot be used.
    """
    if head not in _HEADS:
        raise ValueError(f"head got '{head}', expected one of {', '.join(_HEADS)}.")
    if head == "linear":
        if str(evidence):
            raise ValueError(f"evidence got '{evidence}', but a linear head has no use for it; add --head evidence.")
        return starting_encoder(encoder, **options)
    if not str(evidence):
        raise ValueError(
            "an evidence head needs --evidence OUT/evidence.pt, which a RadLAS pretraining run writes; for an encoder "
            "alone take --head linear."
        )
    if str(encoder) not in ("none", ""):
        raise ValueError(
            f"encoder got '{encoder}', but an evidence head takes the encoder of '{evidence}'; leave --encoder out."
        )
    network, card = load_evidence_network(evidence)
    check_encoder(network.encoder, evidence, options.get("image_size"))
    known = ("method", "epochs", "steps", "data", "sha256")
    source = {"evidence": Path(evidence).name, **{key: card[key] for key in known if key in card}}
    normalization = {key: float(card["normalization"][key]) for key in ("mean", "std")}
    return StartingEvidence(network.encoder, normalization, source, network=network, reads=reads)
