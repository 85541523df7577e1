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
"""Files of fine-tuned networks: weights as BestCheckpoint writes them, with a card that says how to rebuild and use."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_lamps.data.atomic import atomic_write
from monai_lamps.networks import Encoder, EvidenceNetwork, build_encoder, build_evidence_network
from monai_lamps.networks.segmenters import build_segmenter
from monai_lamps.tasks import EvidenceClassifier, LinearClassifier

__all__ = ["build_network", "load_network", "read_network_card", "save_network_card"]

CARD = "network.json"
_REQUIRED = ("task", "encoder", "network", "names", "image_size", "normalization")


def save_network_card(folder: str | Path, card: Mapping[str, Any]) -> Path:
    """Write ``network.json``, the card of the networks (``best.pt``, ``last.pt``) in a folder.

    Args:
        folder: of the run.
        card: at least ``task`` (its name), ``encoder`` (what :func:`~monai_lamps.networks.build_encoder` takes),
            ``network`` ({"kind": "segmenter", "linear_classifier" or "evidence_classifier", and its arguments; of the
            last with ``evidence``, what :func:`~monai_lamps.networks.build_evidence_network` takes}), ``names`` (of
            structures or classes), ``image_size`` (px, the side that images are resized to) and ``normalization``
            ({"mean", "std"} of images in [0, 1]). A segmentation may have ``largest_component``, names of structures of
            which only the largest connected part counts.

    Returns:
        the path of the card.

    Raises:
        ValueError: when an entry is missing.
        TypeError: when it holds something that JSON has no form for.
    """
    path = Path(folder) / CARD
    _check(card, path)
    try:
        text = json.dumps(dict(card), indent=2) + "\n"
    except TypeError as error:
        raise TypeError(f"the network card must hold numbers, strings, lists and dictionaries ({error}).") from error
    return atomic_write(path, lambda file: file.write(text.encode()))


def read_network_card(path: str | Path) -> dict[str, Any]:
    """The card of a network file.

    Args:
        path: ``best.pt`` or ``last.pt`` with ``network.json`` beside it, the card itself, or their folder.

    Raises:
        FileNotFoundError: when there is no card.
        ValueError: when the card is not JSON or lacks an entry.
    """
    path = Path(path)
    file = path if path.suffix == ".json" else (path if path.is_dir() else path.parent) / CARD
    if not file.is_file():
        raise FileNotFoundError(
            f"no network card at '{file}'; a fine-tuning run writes best.pt, last.pt and {CARD} into its folder: copy "
            "the card together with the weights."
        )
    try:
        card = json.loads(file.read_bytes())
    except ValueError as error:  # not JSON, or not even text
        raise ValueError(f"network card '{file}' is not valid JSON ({error}); copy it again.") from error
    if not isinstance(card, dict):
        raise ValueError(f"network card '{file}' holds a {type(card).__name__}, expected a JSON object; copy it again.")
    _check(card, file)
    return card


def build_network(card: Mapping[str, Any], start: Encoder | EvidenceNetwork | None = None) -> nn.Module:
    """The network of a card, its weights at random but for those of what it starts from.

    It maps normalised images (B, 1, H, W) to logits, in the order of the card's ``names``.

    Args:
        card: see :func:`save_network_card`.
        start: what the network is built around: its encoder, or for an evidence classifier its evidence network; by
            default it is built as the card says.

    Raises:
        ValueError: when the card describes no network that this version can build.
    """
    arguments = dict(card["network"])
    kind = arguments.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"the network card has the kind '{kind}', expected one of {sorted(_KINDS)}.")
    evidence = arguments.pop("evidence", None)
    try:
        if start is None:
            start = build_encoder(**card["encoder"]) if evidence is None else build_evidence_network(evidence)
        return _KINDS[kind](start, **arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the network card describes no network that this version can build: {error}") from error


def load_network(path: str | Path, map_location: str | torch.device = "cpu") -> nn.Module:
    """Rebuild a fine-tuned network with its weights, in eval mode. Only tensors are unpickled.

    Args:
        path: ``best.pt`` or ``last.pt`` with ``network.json`` beside it.
        map_location: device of the weights.

    Returns:
        the network, see :func:`build_network`.

    Raises:
        FileNotFoundError: when weights or card are missing.
        ValueError: when the weights are damaged, hold anything but tensors and numbers, or do not fit the card.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no network file at '{path}'; a fine-tuning run writes it as OUT/best.pt.")
    card = read_network_card(path)
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
        state = content["network"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise ValueError(
            f"network file '{path}' does not hold plain tensors under 'network' and was not loaded; it is damaged or "
            "was not written by a fine-tuning run."
        ) from error
    network = build_network(card).to(map_location)
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights in '{path}' do not fit the network of '{path.parent / CARD}', {card['network']}; copy both "
            f"from the same run. {reason}"
        ) from error
    return network.eval()


def _segmenter(encoder: Encoder, name: str, out_channels: int, args: Mapping[str, Any] | None = None) -> nn.Module:
    return build_segmenter(name, encoder, out_channels, **(args or {}))


_KINDS: dict[str, Callable[..., nn.Module]] = {
    "segmenter": _segmenter,
    "linear_classifier": LinearClassifier,
    "evidence_classifier": EvidenceClassifier,
}


def _check(card: Mapping[str, Any], where: Path) -> None:
    if missing := [key for key in _REQUIRED if key not in card]:
        raise ValueError(f"network card '{where}' lacks {missing}; it must say how the network is rebuilt and used.")
