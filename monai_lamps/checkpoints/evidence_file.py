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
"""Evidence files: an encoder with the decoder that restores the healthy image, and a card beside them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from monai_lamps.data.atomic import atomic_write
from monai_lamps.networks import EvidenceNetwork, build_evidence_network

from .encoder_file import read_card

__all__ = ["load_evidence_network", "save_evidence_network"]


def save_evidence_network(path: str | Path, network: EvidenceNetwork, card: Mapping[str, Any]) -> Path:
    """Write an evidence file: weights (``NAME.pt``, tensors only) and its card (``NAME.json``) beside it.

    Each is replaced in one step, the card right after the weights.

    Args:
        path: file of the weights, e.g. ``OUT/evidence.pt``.
        network: its ``config`` goes into the card, so that :func:`load_evidence_network` can rebuild it.
        card: how the input must be prepared and where the weights come from: at least ``image_size`` (px, per axis) and
            ``normalization`` ({"mean", "std"} of images in [0, 1]). The entries encoder, evidence, embed_dim, cell and
            sha256 are filled in.

    Returns:
        the path of the weights.

    Raises:
        ValueError: when the path does not end in .pt, or the card lacks a required entry.
        TypeError: when the card holds something that JSON has no form for.
        OSError: when a file cannot be written; the old one then stays.
    """
    path = Path(path)
    if path.suffix != ".pt":
        raise ValueError(f"an evidence file is named NAME.pt, with NAME.json beside it; got '{path}'.")
    if missing := [key for key in ("image_size", "normalization") if key not in card]:
        raise ValueError(f"the evidence card lacks {missing}; it must say how the input is prepared.")
    weights = io.BytesIO()
    torch.save({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}, weights)
    encoder = network.encoder
    own = {"encoder": encoder.config, "evidence": network.config, "embed_dim": encoder.embed_dim, "cell": encoder.cell}
    try:
        digest = hashlib.sha256(weights.getbuffer()).hexdigest()
        text = json.dumps({**own, **card, **own, "sha256": digest}, indent=2) + "\n"
    except TypeError as error:
        raise TypeError(f"the evidence card must hold numbers, strings, lists and dictionaries ({error}).") from error
    atomic_write(path, lambda file: file.write(weights.getbuffer()))
    atomic_write(path.with_suffix(".json"), lambda file: file.write(text.encode()))
    return path


def load_evidence_network(
    path: str | Path, map_location: str | torch.device = "cpu"
) -> tuple[EvidenceNetwork, dict[str, Any]]:
    """Rebuild an evidence network from its file, with its weights, in eval mode. Only tensors are unpickled.

    Args:
        path: ``evidence.pt`` with ``evidence.json`` beside it.
        map_location: device of the weights.

    Returns:
        the network and its card. Its input is normalised as the card says: (x - mean) / std of images in [0, 1].

    Raises:
        FileNotFoundError: when the weights or the card are missing.
        ValueError: when the file is an encoder file, damaged, holds anything but tensors, or does not fit its card.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no evidence file at '{path}'; a RadLAS pretraining run writes it as OUT/evidence.pt.")
    if not path.with_suffix(".json").is_file():
        raise FileNotFoundError(
            f"no evidence card at '{path.with_suffix('.json')}'; an evidence file is a pair, NAME.pt and NAME.json: "
            "copy both."
        )
    card, content = read_card(path), path.read_bytes()
    if "evidence" not in card:
        raise ValueError(
            f"'{path}' is an encoder file, without a decoder; expected an evidence file, which RadLAS pretraining "
            "writes as OUT/evidence.pt beside OUT/encoder.pt."
        )
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ValueError(
            f"evidence file '{path}' does not match its card's sha256: damaged or mixed up; copy both again."
        )
    try:
        state = torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"evidence file '{path}' does not hold plain tensors and was not loaded; this package did not write it."
        ) from error
    network = build_evidence_network(card["evidence"])
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"the weights in '{path}' do not fit its card; copy both files again. {reason}") from error
    return network.to(map_location).eval(), card
