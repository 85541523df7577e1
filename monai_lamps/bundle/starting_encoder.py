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
"""The encoder that fine-tuning starts from: a file, or random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from monai_lamps.checkpoints import load_encoder, load_released_encoder, open_released_encoder, read_card
from monai_lamps.checkpoints.encoder_file import holds_card
from monai_lamps.networks import Encoder, EvidenceNetwork, build_encoder
from monai_lamps.networks.encoders import encoder_names

__all__ = ["StartingEncoder", "check_encoder", "starting_encoder"]

_PLAIN = {"mean": 0.5056, "std": 0.252}  # of the Lamps family; a random encoder learns with any


@dataclass(frozen=True)
class StartingEncoder:
    """An encoder to fine-tune.

    Attributes:
        encoder: with its weights.
        normalization: {"mean", "std"} of images in [0, 1] that it expects.
        source: where it comes from, in JSON primitives, for the network's card.
    """

    encoder: Encoder
    normalization: dict[str, float]
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> Encoder | EvidenceNetwork:
        """What a network is built around, see :func:`~monai_lamps.checkpoints.build_network`."""
        return self.encoder

    def head(self, classes: int, dropout: float = 0.0) -> dict[str, Any]:
        """The entry ``network`` of the card of a classifier that is built around it."""
        return {"kind": "linear_classifier", "classes": classes, "dropout": dropout}


def starting_encoder(
    encoder: str | Path,
    architecture: str = "resnet18",
    architecture_args: Mapping[str, Any] | None = None,
    released_args: Mapping[str, Any] | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> StartingEncoder:
    """The encoder to fine-tune.

    Random weights depend on ``seed`` alone, and drawing them leaves torch's random state as it was, so that a decoder
    which is built next starts from the same weights whatever the encoder starts from.

    Args:
        encoder: "none" for random weights, or a file: ``encoder.pt`` of a pretraining run, or released weights (Lamps,
            POPAR, PEAC, ACE, Adam, Adam-v2), whose RGB input is folded.
        architecture: name of the encoder with random weights; a file knows its own.
        architecture_args: its arguments.
        released_args: options of :func:`~monai_lamps.checkpoints.open_released_encoder`, such as ``{"network":
            "student"}``; for released weights only.
        image_size: side of the images in px, checked against the encoder's cell.
        seed: of random weights.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file cannot be used, takes other channels than one or other than 2-D images, or the images
            do not fit the encoder.
    """
    if str(encoder) in ("none", ""):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            built = build_encoder(architecture, **(architecture_args or {}))
        start = StartingEncoder(built, dict(_PLAIN), {"encoder": "none"})
    else:
        start = _from_file(Path(encoder), dict(released_args or {}))
    check_encoder(start.encoder, encoder, image_size)
    return start


def _from_file(path: Path, options: dict[str, Any]) -> StartingEncoder:
    if str(path) in encoder_names() and not path.exists():
        raise ValueError(
            f"encoder got '{path}', the name of an architecture, expected a file or none; for random weights give "
            f"--architecture {path}."
        )
    if options and holds_card(path):
        raise ValueError(f"released_args got {options}, but '{path}' is an encoder file of this package; leave it out.")
    if options and path.is_file():
        released = open_released_encoder(path, **options)
        encoder, card = load_released_encoder(released)[0], released.card()
    else:
        encoder, card = load_encoder(path), read_card(path)
    known = ("method", "released", "epochs", "steps", "data", "sha256")
    source = {"encoder": path.name, **{key: card[key] for key in known if key in card}}
    normalization = {key: float(card["normalization"][key]) for key in ("mean", "std")}
    return StartingEncoder(encoder, normalization, source)


def check_encoder(encoder: Encoder, name: str | Path, image_size: int | None = None) -> None:
    """Refuse an encoder that cannot be fine-tuned on radiographs of this size.

    Args:
        encoder: the encoder.
        name: what an error calls it.
        image_size: side of the images in px.

    Raises:
        ValueError: when it takes other channels than one, other than 2-D images, or the images do not fit its cell.
    """
    if encoder.in_channels != 1 or encoder.spatial_dims != 2:
        raise ValueError(
            f"encoder '{name}' takes {encoder.in_channels} channels and {encoder.spatial_dims}-D images, expected one "
            "channel and 2-D: radiographs are grey. Pretrain one with in_channels=1 and spatial_dims=2 (of released "
            "weights give the file as it is: its RGB input is folded)."
        )
    if image_size is not None and (image_size < encoder.cell or image_size % encoder.cell):
        below = max(encoder.cell, image_size // encoder.cell * encoder.cell)
        raise ValueError(
            f"image_size got {image_size}, expected a multiple of the encoder's cell of {encoder.cell} px, such as "
            f"{below} or {below + encoder.cell}."
        )
