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
"""Import of released weights into the whole Lamps method, heads included."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .import_report import ImportReport, match_weights
from .released_encoder import ReleasedEncoder, fill_encoder, open_released_encoder
from .released_file import ReleasedFile, open_released
from .swin_layout import SwinLayout

if TYPE_CHECKING:
    from monai_lamps.methods import Lamps
    from monai_lamps.networks import Encoder

__all__ = ["load_released_lamps"]

_CENTER = "cross_view.global_loss.center"
_HEADS = ("vitdecoder.", "popar_head.", "composer.", "decomposer.", "peac_global.", "peac_local.")
_REASONS = {
    "vitdecoder.decoder_pos_embed": "fixed sine-cosine code, computed",
    "vitdecoder.mask_token": "never used: hidden cells are filled with the mask token of the backbone",
    "vitdecoder.patch_embed.": "never used by the released code",
    "bias": "the bias of the order head under a second name",
}
#: how our names of the heads are turned into those of the file, in this order
_RENAMED = (
    (r"decoder\.mask_token", "backbone.mask_token"),
    (r"decoder\.blocks\.(\d+)\.attn\.out_proj\.", r"vitdecoder.decoder_blocks.\1.attn.proj."),
    (r"decoder\.blocks\.(\d+)\.mlp\.linear(\d)\.", r"vitdecoder.decoder_blocks.\1.mlp.fc\2."),
    (r"decoder\.blocks\.", "vitdecoder.decoder_blocks."),
    (r"decoder\.norm\.", "vitdecoder.decoder_norm."),
    (r"decoder\.", "vitdecoder."),
    (r"cross_view\.whole\.last_layer\.parametrizations\.weight\.original0", "peac_global.last_layer.weight_g"),
    (r"cross_view\.whole\.last_layer\.parametrizations\.weight\.original1", "peac_global.last_layer.weight_v"),
    (r"cross_view\.whole\.", "peac_global."),
    (r"cross_view\.part\.", "peac_local."),
)
_logger = logging.getLogger(__name__)


def load_released_lamps(
    method: Lamps, path: str | Path, network: str | None = None, minimum_coverage: float = 0.95
) -> dict[str, ImportReport]:
    """Put released weights into a Lamps method, in place: for inspection, fine-tuning or continued pretraining.

    Encoder and heads of the student (context decoder, order head, composer, decomposer, and the cross-view heads and
    their centre where that objective is on) come from the file's student, the teacher from its teacher. Files of the
    siblings (POPAR, PEAC, ACE) give the encoder, POPAR and PEAC the order head, too; the other heads stay random, which
    the report says. RGB is folded to the encoder's channel and to the method's normalisation, exactly. The optimizer's
    state is not imported. Reports are logged; what stays random is a warning. After an error the method may be filled
    in part.

    Args:
        method: the method; its encoder has the file's sizes (``swin_base``), its geometry 14 cells a view, its decoder
            8 blocks, as published. Bit parity at 224 px needs ``small_grid_shift=True`` in its encoder.
        path: the released checkpoint.
        network: ``"teacher"`` or ``"student"`` fills both student and teacher from that network; None takes each from
            its own, or both from the only one.
        minimum_coverage: smallest tolerated share of the encoder's parameters that the file holds.

    Returns:
        report by network of the method, ``student`` and ``teacher``.

    Raises:
        FileNotFoundError: when there is no file.
        ValueError: when ``path`` is empty, the file cannot be read safely or holds no Swin V1 of window 7, a tensor has
            another shape than the method's, or the coverage is too low.
    """
    if not str(path):
        raise ValueError("no released weights were named; give their file, in the bundle with --released FILE.")
    file = open_released(path)
    reports = {}
    for name in ("student", "teacher"):
        chosen = network or (name if name in file.networks else None)
        released = open_released_encoder(file, chosen)
        if not isinstance(released.layout, SwinLayout):
            raise ValueError(
                f"{released} holds a {released.layout.title}, expected the Swin of Lamps or its siblings; to start "
                "from another encoder, load it with load_encoder and build the method with it."
            )
        reports[name] = _fill(method, name, released)
        reports[name].require(minimum_coverage)
    _load_center(method, file)
    for report in reports.values():
        _logger.log(logging.WARNING if report.missing else logging.INFO, str(report))
    return reports


def _fill(method: Lamps, name: str, released: ReleasedEncoder) -> ImportReport:
    """Fill the student (and the heads that only it uses) or the teacher of a method."""
    student = name == "student"
    networks = method.student if student else method.teacher_network
    encoder: Encoder = networks.encoder
    state = released.folded(encoder.in_channels, method.mean, method.std)
    own = fill_encoder(encoder, released, state)
    targets = {key: value for key, value in networks.state_dict().items() if key.startswith("cross_view.")}
    if student:
        heads = ("decoder.", "order_head.", "composer.", "decomposer.")
        targets |= {key: value for key, value in method.state_dict().items() if key.startswith(heads)}
    pairs, missing = match_weights(targets, lambda key: _source_of(key, released), state, str(released))
    with torch.no_grad():
        for key, source in pairs.items():
            targets[key].copy_(state[source])
    used = {*own.loaded, *pairs.values()}
    filled = {source.split(".", 1)[0] for source in pairs.values()}
    reasons = {key: _reason(key, released, filled, own.ignored or {}) for key in state if key not in used}
    note = f"fills the method's {name}; images are normalised with mean {method.mean} and deviation {method.std}"
    return ImportReport(
        str(released),
        loaded=(*own.loaded, *pairs.values()),
        missing=(*own.missing, *missing),
        unexpected=tuple(key for key, reason in reasons.items() if reason is None),
        ignored={key: reason for key, reason in reasons.items() if reason is not None},
        coverage=own.coverage,
        notes=(note, *_notes(encoder, released)),
    )


def _source_of(key: str, released: ReleasedEncoder) -> str:
    """Key of the file for a key of a head."""
    if key.startswith("order_head."):
        if released.family.order_head == "head." and key == "order_head.bias":
            return "bias"
        return key.replace("order_head.", released.family.order_head or "popar_head.")
    for pattern, replacement in _RENAMED:
        renamed, count = re.subn(f"^{pattern}", replacement, key)
        if count:
            return renamed
    return key


def _reason(key: str, released: ReleasedEncoder, filled: set[str], encoder: Mapping[str, str]) -> str | None:
    """Why a key of the file is not loaded; None when nothing is known of it, or its head was loaded without it."""
    if released.family.name != "lamps":
        return encoder.get(key)
    for start, reason in _REASONS.items():
        if key == start or (start.endswith(".") and key.startswith(start)):
            return reason
    if key.startswith(_HEADS):
        unused = "head that this network of the method does not have: its objective is off, or only the student uses it"
        return None if key.split(".", 1)[0] in filled else unused
    return encoder.get(key) if key.startswith(released.layout.prefix) else None


def _notes(encoder: Encoder, released: ReleasedEncoder) -> tuple[str, ...]:
    if released.layout.config["small_grid_shift"] == encoder.config.get("small_grid_shift"):
        return ()
    return (
        "the encoder's small_grid_shift differs from the released code's: quadrants of 224 px give other embeddings; "
        f"build it with small_grid_shift={released.layout.config['small_grid_shift']}",
    )


def _load_center(method: Lamps, file: ReleasedFile) -> None:
    """The centre of the self-distillation, where that objective is on."""
    center: Tensor | None = file.losses.get("dino_loss", {}).get("center")
    if method.cross_view is not None and center is not None:
        targets = {_CENTER: method.cross_view.global_loss.center}
        match_weights(targets, lambda _: "center", {"center": center}, f"'{file.path}' (dino_loss)")
        with torch.no_grad():
            targets[_CENTER].copy_(center)
