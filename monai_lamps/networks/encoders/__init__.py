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
"""Encoders (MONAI's Swin, ResNet and ViT, a ConvNeXt) behind one contract, a registry, their use in FlexibleUNet."""

from __future__ import annotations

from .convnext import ConvNeXtEncoder
from .encoder import Encoder, build_encoder, encoder_levels, encoder_names, register_encoder
from .resnet import ResNetEncoder
from .swin import SwinEncoder
from .vit import ViTEncoder

# after the encoders: it registers each of them in MONAI's FLEXUNET_BACKBONE
from .flexible_unet import FlexibleUNetEncoder, register_backbone  # isort: skip

__all__ = [
    "ConvNeXtEncoder",
    "Encoder",
    "FlexibleUNetEncoder",
    "ResNetEncoder",
    "SwinEncoder",
    "ViTEncoder",
    "build_encoder",
    "encoder_levels",
    "encoder_names",
    "register_backbone",
    "register_encoder",
]
