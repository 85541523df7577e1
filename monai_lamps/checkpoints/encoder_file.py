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
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from monai_lamps.data.atomic import atomic_write
from monai_lamps.networks import Encoder, build_encoder

from .released_encoder import is_released, load_released_encoder, open_released_encoder

__all__ = ["holds_card", "load_encoder", "read_card", "save_encoder"]

_GIVEN = ("image_size", "normalization")
_REQUIRED = ("encoder", *_GIVEN, "sha256")


def save_encoder(path: str | Path, encoder: Encoder, card: Mapping[str, Any]) -> Path:
    """Write an encoder file: weights (``NAME.pt``, tensors only) and its card (``NAME.json``) beside it.

    Each is replaced in one step, the card right after the weights; a reader in between finds that they do not match.

    Args:
        path: file of the weights, e.g. ``OUT/encoder.pt``.
        encoder: the encoder; its ``config`` goes into the card, so that :func:`load_encoder` can rebuild it.
        card: how the input must be prepared and where the weights come from: at least ``image_size`` (px, per axis) and
            ``normalization`` ({"mean", "std"} of images in [0, 1]). The entries encoder, embed_dim, cell and sha256 are
            filled in.

    Returns:
        the path of the weights.

    Raises:
        ValueError: when the path does not end in .pt, or the card lacks a required entry.
        TypeError: when the card holds something that JSON has no form for.
        OSError: when a file cannot be written, on a full disk for instance; the old one then stays.
    """
    path = Path(path)
    if path.suffix != ".pt":
        raise ValueError(f"an encoder file is named NAME.pt, with NAME.json beside it; got '{path}'.")
    missing = [key for key in _GIVEN if key not in card]
    if missing:
        raise ValueError(f"the encoder card lacks {missing}; it must say how the input is prepared.")
    weights = io.BytesIO()
    torch.save({name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}, weights)
    own = {"encoder": encoder.config, "embed_dim": encoder.embed_dim, "cell": encoder.cell}
    full = {**own, **card, **own, "sha256": hashlib.sha256(weights.getbuffer()).hexdigest()}
    try:
        text = json.dumps(full, indent=2) + "\n"
    except TypeError as error:
        raise TypeError(f"the encoder card must hold numbers, strings, lists and dictionaries ({error}).") from error
    atomic_write(path, lambda file: file.write(weights.getbuffer()))
    atomic_write(path.with_suffix(".json"), lambda file: file.write(text.encode()))
    return path


def holds_card(path: str | Path) -> bool:
    """Whether this is an encoder file of this package: ``NAME.pt`` (or its card) with ``NAME.json`` beside it."""
    path = Path(path)
    return path.suffix in (".pt", ".json") and path.with_suffix(".json").is_file()


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of an encoder file; for a checkpoint of released weights, what is known of them in the same form.

    Args:
        path: ``encoder.pt`` or ``encoder.json``, or released weights (see :func:`load_encoder`).

    Returns:
        the entries; at least encoder, image_size, normalization and sha256.

    Raises:
        FileNotFoundError: when there is no card.
        ValueError: when the card is not JSON or lacks a required entry, or the file is neither of ours nor understood.
    """
    if _is_foreign(Path(path)):
        return open_released_encoder(path).card()
    file = Path(path).with_suffix(".json")
    if not file.is_file():
        raise FileNotFoundError(
            f"no encoder card at '{file}'; an encoder file is a pair, NAME.pt and NAME.json: copy both."
        )
    try:
        card: dict[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:  # not JSON, or not even text
        raise ValueError(f"encoder card '{file}' is not valid JSON ({error}); copy it again.") from error
    if not isinstance(card, dict):
        raise ValueError(
            f"encoder card '{file}' holds a JSON {type(card).__name__}, expected an object; copy it again."
        )
    missing = [key for key in _REQUIRED if key not in card]
    if missing:
        raise ValueError(f"encoder card '{file}' lacks {missing}; it was not written by this package.")
    return card


def load_encoder(path: str | Path, map_location: str | torch.device = "cpu") -> Encoder:
    """Rebuild an encoder from its file, with its weights, in eval mode. Only tensors are unpickled.

    Checkpoints that others released (Lamps; the Swin-B of POPAR, PEAC and ACE; the ResNet-50 of Adam, the ResNet-50 and
    ConvNeXt-B of Adam-v2) are recognised and imported, of several networks the teacher;
    :func:`~monai_lamps.checkpoints.load_released_encoder` has options for them.

    Args:
        path: ``encoder.pt`` with ``encoder.json`` beside it, or released weights under any name.
        map_location: device of the weights.

    Returns:
        the encoder: ``encoder(x)`` is (B, D), ``encoder.embed(x)`` tokens and mean, ``encoder.features(x)`` feature
        maps. Its input is normalised as the card says: (x - mean) / std of images in [0, 1].

    Raises:
        FileNotFoundError: when the weights or the card are missing.
        ValueError: when the weights are damaged, hold anything but tensors, or do not fit the card; or when released
            weights are refused.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no encoder file at '{path}'; a pretraining run writes it as OUT/encoder.pt.")
    if _is_foreign(path):
        return load_released_encoder(path)[0].to(map_location)
    card = read_card(path)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ValueError(
            f"encoder file '{path}' does not match its card's sha256: damaged or mixed up; copy both again."
        )
    try:
        state = torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"encoder file '{path}' does not hold plain tensors and was not loaded; it was not written by this package."
        ) from error
    try:
        encoder = build_encoder(**card["encoder"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"the card of '{path}' describes no encoder that this version can build: {error}") from error
    try:
        encoder.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= 300 else f"{reason[:300]} ..."
        raise ValueError(
            f"the weights in '{path}' do not fit the encoder of its card, {card['encoder']}; copy both files again. "
            f"{reason}"
        ) from error
    return encoder.to(map_location).eval()


def _is_foreign(path: Path) -> bool:
    """Whether a file is to be imported: it has no card, and is not named as ours or holds released weights."""
    if holds_card(path) or not path.is_file():
        return False
    return path.suffix != ".pt" or is_released(path)
