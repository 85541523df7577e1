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
"""Segmentation networks on any encoder."""

from __future__ import annotations

from .encoder_unet import EncoderUNet
from .feature_pyramid import FeaturePyramid, SimpleFeaturePyramid
from .registry import build_segmenter, register_segmenter, segmenter_names
from .swin_unetr import EncoderSwinUNETR, build_swin_unetr
from .upernet import PyramidPooling, UPerNet

__all__ = [
    "EncoderSwinUNETR",
    "EncoderUNet",
    "FeaturePyramid",
    "PyramidPooling",
    "SimpleFeaturePyramid",
    "UPerNet",
    "build_segmenter",
    "build_swin_unetr",
    "register_segmenter",
    "segmenter_names",
]
