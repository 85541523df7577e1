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
"""Networks: encoders, the context decoder, heads, teacher and memory. Importing it registers FlexibleUNet backbones."""

from __future__ import annotations

from .compiled import compile_networks
from .context_decoder import ContextDecoder, fill_context
from .contrastive_head import ContrastiveHead
from .dino_head import DINOHead
from .encoders import (
    ConvNeXtEncoder,
    Encoder,
    FlexibleUNetEncoder,
    ResNetEncoder,
    SwinEncoder,
    build_encoder,
    encoder_levels,
    encoder_names,
    register_backbone,
    register_encoder,
)
from .evidence_network import (
    Evidence,
    EvidenceNetwork,
    build_evidence_network,
    cell_means,
    contrast_percentile,
    gather_clue,
    paint_cells,
)
from .gather_ranks import gather_ranks
from .heads import Composer, Decomposer, OrderHead, ProjectionHead
from .memory_queue import MemoryQueue
from .position import sincos_position_code
from .segmenters import (
    EncoderSwinUNETR,
    EncoderUNet,
    UPerNet,
    build_segmenter,
    build_swin_unetr,
    register_segmenter,
    segmenter_names,
)
from .shuffled_batch import shuffle_ranks
from .teacher import EMATeacher
from .token_decoder import TokenDecoder

__all__ = [
    "Composer",
    "ContextDecoder",
    "ContrastiveHead",
    "ConvNeXtEncoder",
    "DINOHead",
    "Decomposer",
    "EMATeacher",
    "Encoder",
    "EncoderSwinUNETR",
    "EncoderUNet",
    "Evidence",
    "EvidenceNetwork",
    "FlexibleUNetEncoder",
    "MemoryQueue",
    "OrderHead",
    "ProjectionHead",
    "ResNetEncoder",
    "SwinEncoder",
    "TokenDecoder",
    "UPerNet",
    "build_encoder",
    "build_evidence_network",
    "build_segmenter",
    "build_swin_unetr",
    "cell_means",
    "compile_networks",
    "contrast_percentile",
    "encoder_levels",
    "encoder_names",
    "fill_context",
    "gather_clue",
    "gather_ranks",
    "paint_cells",
    "register_backbone",
    "register_encoder",
    "register_segmenter",
    "segmenter_names",
    "shuffle_ranks",
    "sincos_position_code",
]
