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
"""Radiographs on their way to training: reading, indexing, built-in phantoms, and the order of the samples."""

from __future__ import annotations

from .atomic import atomic_write
from .datalist import load_datalist, save_datalist, split_by_patient
from .dataset import RadiographDataset
from .index import index_folder
from .keys import derive_seed
from .lists import XRAY14_CLASSES, read_list_file
from .phantom import ThoraxPhantom, draw_annotated_thorax, draw_thorax, write_phantoms
from .radiograph import NoPixelDataError, RadiographError, read_radiograph
from .rejects import RejectLog
from .sampler import ResumableBatchSampler

__all__ = [
    "NoPixelDataError",
    "RadiographDataset",
    "RadiographError",
    "RejectLog",
    "ResumableBatchSampler",
    "ThoraxPhantom",
    "XRAY14_CLASSES",
    "atomic_write",
    "derive_seed",
    "draw_annotated_thorax",
    "draw_thorax",
    "index_folder",
    "load_datalist",
    "read_list_file",
    "read_radiograph",
    "save_datalist",
    "split_by_patient",
    "write_phantoms",
]
