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
"""The encoders that an evaluation compares: files, random weights, networks of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from monai_lamps.bundle.starting_encoder import StartingEncoder, starting_encoder
from monai_lamps.engines.anatomy import Case, EncoderMaps, Subject
from monai_lamps.engines.anatomy.case import resize
from monai_lamps.engines.anatomy.places import random_places

__all__ = ["centered_encoders", "judged_encoders", "reference_encoder"]

_RANDOM = ("none", "")
_PATCHES, _SHARES = 4, (0.15, 0.6)  # patches of a radiograph whose mean embedding is taken off, their sides in its side


def judged_encoders(
    encoders: Mapping[str, Any] | str | Path,
    image_size: int,
    patch_size: int,
    architecture: str = "resnet18",
    architecture_args: Mapping[str, Any] | None = None,
    dense_levels: Sequence[int] = (-1,),
    device: str | torch.device = "cpu",
    batch_size: int = 16,
    seed: int = 0,
) -> list[Subject]:
    """The encoders by name.

    Random weights, the floor that every encoder should be above, have the architecture and the normalisation of the
    first file (``none``), or of another (``none:NAME``).

    Args:
        encoders: for each name a file (``encoder.pt`` of a pretraining run, or released weights), ``none`` or
            ``none:NAME`` for random weights, or a callable from radiographs (B, 1, H, W) in [0, 1] to feature maps (B,
            D, h, w), such as :class:`~monai_lamps.engines.anatomy.NetworkMaps`, with a method ``decompose`` if it has a
            decomposer (see :class:`~monai_lamps.engines.anatomy.Subject`); or a file alone.
        image_size: side of whole radiographs in px, checked against the encoders' cells.
        patch_size: side of patches in px, checked likewise.
        architecture: of random weights where there is no file.
        architecture_args: its arguments.
        dense_levels: levels of an encoder file that are compared place by place, see
            :class:`~monai_lamps.engines.dense_features.TokenMaps`.
        device: where they compute.
        batch_size: images at a time.
        seed: of random weights.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when there is no encoder, or one cannot be used.
    """
    given = {"encoder": encoders} if isinstance(encoders, (str, Path)) and str(encoders) else encoders
    if not isinstance(given, Mapping) or not given:
        raise ValueError(
            "no encoder to judge: give --encoders \"{'lamps': 'OUT/encoder.pt', 'random': 'none'}\", a file (or none "
            f"for random weights) by name; got {encoders!r}."
        )
    files = {
        name: starting_encoder(value, image_size=image_size)
        for name, value in given.items()
        if isinstance(value, (str, Path)) and not _is_random(value)
    }
    options: dict[str, Any] = {"device": device, "batch_size": batch_size}
    subjects = []
    for name, value in given.items():
        if callable(value):
            decompose: Callable[[torch.Tensor], torch.Tensor] | None = getattr(value, "decompose", None)
            about = {"encoder": type(value).__name__}
            subjects.append(Subject(str(name), value, decompose=decompose, about=about, **options))
            continue
        start = files.get(name) or _random(name, value, files, architecture, architecture_args, image_size, seed)
        _check_patch(name, start, patch_size)
        coarse, dense = (EncoderMaps(start.encoder, start.normalization, levels) for levels in ((-1,), dense_levels))
        about = {**start.source, "architecture": start.encoder.config["name"]}
        subjects.append(Subject(str(name), coarse, dense, about=about, **options))
    return subjects


def centered_encoders(
    subjects: Sequence[Subject], cases: Sequence[Case], image_size: int, patch_size: int, seed: int = 0
) -> list[Subject]:
    """The encoders with their mean feature over these radiographs, and over random patches of them, taken off.

    See :meth:`~monai_lamps.engines.anatomy.Subject.centered`.

    Args:
        subjects: the encoders.
        cases: the radiographs.
        image_size: side to which they are brought, px.
        patch_size: side to which patches are brought, px.
        seed: decides where patches are cut.
    """
    images = torch.stack([resize(case.image, image_size) for case in cases])
    places = random_places(len(cases), _PATCHES, _SHARES, seed)
    patches = torch.stack([place.cut(cases, patch_size) for place in places])
    return [subject.centered(images, patches) for subject in subjects]


def reference_encoder(encoders: Mapping[str, Any] | str | Path) -> str:
    """The encoder that others are compared with: the first with random weights, or else the first."""
    if not isinstance(encoders, Mapping):
        return "encoder"
    names = [str(name) for name, value in encoders.items() if isinstance(value, str) and _is_random(value)]
    return (names or [str(name) for name in encoders])[0]


def _is_random(value: str | Path) -> bool:
    return str(value).partition(":")[0] in _RANDOM


def _random(
    name: str,
    value: Any,
    files: Mapping[str, StartingEncoder],
    architecture: str,
    architecture_args: Mapping[str, Any] | None,
    image_size: int,
    seed: int,
) -> StartingEncoder:
    if not isinstance(value, str):
        raise ValueError(f"encoder '{name}' got {value!r}, expected a file, 'none' for random weights, or a callable.")
    like = value.partition(":")[2]
    if like and like not in files:
        raise ValueError(f"encoder '{name}' got '{value}', expected 'none:' and one of the files {list(files)}.")
    first = files[like] if like else next(iter(files.values()), None)
    if first is None:
        return starting_encoder("none", architecture, architecture_args, image_size=image_size, seed=seed)
    config = dict(first.encoder.config)
    made = starting_encoder("none", config.pop("name"), config, image_size=image_size, seed=seed)
    return StartingEncoder(made.encoder, first.normalization, made.source)


def _check_patch(name: str, start: StartingEncoder, patch_size: int) -> None:
    cell = start.encoder.cell
    if patch_size < cell or patch_size % cell:
        near = max(cell, round(patch_size / cell) * cell)
        raise ValueError(
            f"patch_size got {patch_size}, expected a multiple of the cell of {cell} px of encoder '{name}', such as "
            f"{near}."
        )
