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
"""Encoder files: export of ours, import of the released weights of others; files of fine-tuned networks."""

from __future__ import annotations

from .encoder_file import load_encoder, read_card, save_encoder
from .evidence_file import load_evidence_network, save_evidence_network
from .import_report import ImportReport
from .network_file import build_network, load_network, read_network_card, save_network_card
from .released_encoder import ReleasedEncoder, is_released, load_released_encoder, open_released_encoder
from .released_file import ReleasedFile, open_released, read_released
from .released_lamps import load_released_lamps
from .stem import fold_padded_stem, fold_stem
from .swin_unetr import load_swin_unetr

__all__ = [
    "ImportReport",
    "ReleasedEncoder",
    "ReleasedFile",
    "build_network",
    "fold_padded_stem",
    "fold_stem",
    "is_released",
    "load_encoder",
    "load_evidence_network",
    "load_network",
    "load_released_encoder",
    "load_released_lamps",
    "load_swin_unetr",
    "open_released",
    "open_released_encoder",
    "read_card",
    "read_network_card",
    "read_released",
    "save_encoder",
    "save_evidence_network",
    "save_network_card",
]
