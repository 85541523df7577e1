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
"""Import of the encoder of released weights: Lamps; the Swin-B of POPAR, PEAC and ACE; Adam and Adam-v2 (Eden)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_lamps.networks import Encoder, build_encoder
from monai_lamps.version import __version__

from .convnext_layout import read_convnext
from .encoder_layout import EncoderLayout
from .import_report import ImportReport, match_weights
from .released_families import ReleasedFamily, recognise_family
from .released_file import ReleasedFile, open_released
from .resnet_layout import read_resnet
from .swin_layout import SwinLayout, read_swin

__all__ = ["ReleasedEncoder", "fill_encoder", "is_released", "load_released_encoder", "open_released_encoder"]

_HEADS = ("bias", "classifier", "compose_head", "decoder", "decompose_head", "fc", "head")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReleasedEncoder:
    """One network of a released checkpoint, understood but not loaded yet.

    Attributes:
        file: the checkpoint.
        network: name of the network in it.
        state: its tensors by key.
        layout: its encoder.
        family: the method it is of.
        mean, std: normalisation of images in [0, 1] that it was trained with, one number or one per channel.
    """

    file: ReleasedFile
    network: str
    state: Mapping[str, Tensor]
    layout: EncoderLayout
    family: ReleasedFamily
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        return f"'{self.file.path}' ({self.family.title}, network '{self.network}')"

    @property
    def normalization(self) -> tuple[float, float]:
        """Mean and deviation for images of one channel: the averages over the channels."""
        return sum(self.mean) / len(self.mean), sum(self.std) / len(self.std)

    def folded(self, in_channels: int, mean: float, std: float) -> dict[str, Tensor]:
        """The state dict with its first layer for other channels and another normalisation (``fold_stem``)."""
        missing = [key for key in self.layout.stem if key not in self.state]
        if missing:
            raise ValueError(f"{self} lacks {missing}; take the whole file.")
        return self.layout.fold(self.state, self.mean, self.std, mean, std, in_channels)

    def ignored(self, key: str) -> str | None:
        """Why a key of the file is no weight of the encoder; None when nothing is known of it."""
        inside = key.removeprefix(self.layout.prefix)
        if key.startswith(("encoder_k.", "queue")):
            return "the second encoder and the queue of the method"
        if not key.startswith(self.layout.prefix) or inside.split(".", 1)[0] in _HEADS:
            return "heads and decoders of the method, not of the encoder"
        if inside == "mask_token":
            return "fills hidden cells after the encoder"
        return self.layout.computed(inside) or self.family.unused.get(inside)

    def notes(self, in_channels: int) -> tuple[str, ...]:
        """What the import assumes or changes, for the report."""
        channels = self.layout.config["in_channels"]
        mean, std = self.normalization
        notes = [f"input is normalised with mean {mean:.4f} and standard deviation {std:.4f} of images in [0, 1]"]
        if self.family.assumed:
            notes[0] += " (assumed, since the file does not tell: pass the mean and std that it was trained with)"
        if channels != in_channels:
            notes.append(f"the {channels} input channels are folded into {in_channels}, exactly for grey images")
        return (*notes, *self.layout.notes(self.family))

    def card(self, in_channels: int = 1) -> dict[str, Any]:
        """The encoder card: how the encoder is built, how its input is prepared, and where it comes from."""
        cells = self.family.view_cells(self.state)
        mean, std = self.normalization
        digest = _sha256(self.file.path)
        return {
            "encoder": {**self.layout.config, "in_channels": in_channels},
            "embed_dim": self.layout.embed_dim,
            "cell": self.layout.cell,
            "method": self.family.name,
            "image_size": [cells * self.layout.cell] * 2,
            "normalization": {"mean": mean, "std": std, "of": "images in [0, 1], 0 dark and 1 bright"},
            "preparation": self.family.preparation(self.layout.cell, cells),
            "released": {"file": self.file.path.name, "sha256": digest, "network": self.network},
            "epochs": self.file.epoch,
            "code_version": __version__,
            "sha256": digest,
        }


def open_released_encoder(
    path: str | Path | ReleasedFile,
    network: str | None = None,
    *,
    small_grid_shift: bool | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> ReleasedEncoder:
    """Understand a network of a released checkpoint: its encoder, its family, the images that it expects.

    Args:
        path: the checkpoint.
        network: ``"teacher"`` or ``"student"``; None takes the teacher where there is one.
        small_grid_shift: shift windows also on a grid that is a single window (224 px images), as the released code of
            Lamps does and standard Swin does not; None does it for Lamps only. It changes nothing at 352 or 448 px.
            Of Swin only.
        mean, std: normalisation of images in [0, 1] that the weights were trained with, one number or one per channel;
            None takes what is known of the family (0.5056 and 0.252 for Lamps, POPAR, PEAC and ACE, ImageNet's for Adam
            and Adam-v2).

    Raises:
        FileNotFoundError: when there is no file.
        ValueError: when the file cannot be read safely, lacks the network, or holds no Swin V1 of window 7, ResNet-18,
            ResNet-50 or ConvNeXt; when an option does not fit it.
    """
    file = path if isinstance(path, ReleasedFile) else open_released(path)
    name, state = file.network(network)
    source = f"{file.path} ({name})"
    layout: EncoderLayout = read_resnet(state, source) or read_convnext(state, source) or read_swin(state, source)
    family = recognise_family(state, layout, file.networks)
    if isinstance(layout, SwinLayout):
        shift = family.small_grid_shift if small_grid_shift is None else small_grid_shift
        layout = replace(layout, config={**layout.config, "small_grid_shift": shift})
    elif small_grid_shift is not None:
        raise ValueError(f"small_grid_shift is an option of Swin, but '{source}' holds a {layout.title}; leave it out.")
    means, stds = family.mean if mean is None else _numbers(mean), family.std if std is None else _numbers(std)
    if min(stds) <= 0:
        raise ValueError(f"the standard deviation of the images must be positive, got {list(stds)}.")
    return ReleasedEncoder(file, name, state, layout, family, means, stds)


def load_released_encoder(
    released: ReleasedEncoder | str | Path, in_channels: int = 1, minimum_coverage: float = 0.95
) -> tuple[Encoder, ImportReport]:
    """Build the encoder of released weights. Only tensors are unpickled.

    Args:
        released: the file, or what :func:`open_released_encoder` made of it with options of your own.
        in_channels: 1 (RGB is folded exactly), or the channels of the file (3).
        minimum_coverage: smallest tolerated share of the encoder's parameters that the file holds.

    Returns:
        the encoder in eval mode on the CPU, and the report. Its input is prepared as ``released.card()`` says.

    Raises:
        FileNotFoundError, ValueError: as :func:`open_released_encoder`; and when a tensor has another shape or is not
            finite, when relative positions are ordered otherwise, or the coverage is too low.
    """
    if not isinstance(released, ReleasedEncoder):
        released = open_released_encoder(released)
    state = released.folded(in_channels, *released.normalization)
    encoder = build_encoder(**{**released.layout.config, "in_channels": in_channels})
    report = fill_encoder(encoder, released, state)
    report.require(minimum_coverage)
    _logger.info(str(report))
    return encoder.eval(), report


def fill_encoder(encoder: Encoder, released: ReleasedEncoder, state: Mapping[str, Tensor]) -> ImportReport:
    """Load what fits of a (folded) state dict into an encoder, in place.

    Args:
        encoder: an encoder of the kind and the sizes of the file, on any device.
        released: where the state dict comes from.
        state: its tensors by key, see :meth:`ReleasedEncoder.folded`.

    Raises:
        ValueError: on a shape that differs, values that are not finite, or other relative positions.
    """
    targets, layout = encoder.state_dict(), released.layout
    layout.check(state, targets, str(released))
    sources = {key: None if layout.computed(key) else layout.source_of(key) for key in targets}
    pairs, missing = match_weights(targets, sources.get, state, str(released))
    with torch.no_grad():
        for key, name in pairs.items():
            targets[key].copy_(state[name])
    used = set(pairs.values())
    left = {key: released.ignored(key) for key in state if key not in used}
    sizes = {name: value.numel() for name, value in encoder.named_parameters() if sources[name] is not None}
    return ImportReport(
        str(released),
        loaded=tuple(pairs.values()),
        missing=tuple(missing),
        unexpected=tuple(key for key, reason in left.items() if reason is None),
        ignored={key: reason for key, reason in left.items() if reason is not None},
        coverage=sum(size for name, size in sizes.items() if name in pairs) / sum(sizes.values()),
        notes=released.notes(encoder.in_channels),
    )


def is_released(path: str | Path) -> bool:
    """Whether a file is a checkpoint with released weights that can be imported."""
    try:
        open_released_encoder(path)
    except (ValueError, OSError):
        return False
    return True


def _numbers(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(item) for item in value) if isinstance(value, Sequence) else (float(value),)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()
