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
"""Radiographs on their way to training: reading, indexing, built-in phantoms, and the order of the samples.

What needs torch or MONAI is imported when it is first used: processes that only read images start without them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .annotations import AnnotationError, count_labels, count_structures, read_structure_values
from .atomic import atomic_write
from .cache import ArrayCache, CacheError, build_cache, verify_cache
from .datalist import load_datalist, save_datalist, split_by_patient
from .index import index_folder
from .keys import derive_seed
from .lists import XRAY14_CLASSES, read_list_file
from .organs import ColumnOrgans, DicomOrgans, FolderOrgans, add_organs, organ_labels
from .packed import PackedItems
from .processes import default_workers
from .radiograph import NoPixelDataError, RadiographError, read_radiograph
from .rejects import RejectLog
from .sets import read_set, set_names

if TYPE_CHECKING:
    from .balanced_sampler import BalancedBatchSampler
    from .dataset import RadiographDataset
    from .phantom import ThoraxPhantom, draw_annotated_thorax, draw_thorax, write_phantoms
    from .phantom.body_parts import BodyPartPhantom, draw_body_part, write_body_parts
    from .sampler import ResumableBatchSampler

_LATER = {
    "BalancedBatchSampler": "balanced_sampler",
    "BodyPartPhantom": "phantom.body_parts",
    "RadiographDataset": "dataset",
    "ResumableBatchSampler": "sampler",
    "ThoraxPhantom": "phantom",
    "draw_annotated_thorax": "phantom",
    "draw_body_part": "phantom.body_parts",
    "draw_thorax": "phantom",
    "write_body_parts": "phantom.body_parts",
    "write_phantoms": "phantom",
}

__all__ = [
    "AnnotationError",
    "ArrayCache",
    "BalancedBatchSampler",
    "BodyPartPhantom",
    "CacheError",
    "ColumnOrgans",
    "DicomOrgans",
    "FolderOrgans",
    "NoPixelDataError",
    "PackedItems",
    "RadiographDataset",
    "RadiographError",
    "RejectLog",
    "ResumableBatchSampler",
    "ThoraxPhantom",
    "XRAY14_CLASSES",
    "add_organs",
    "atomic_write",
    "build_cache",
    "count_labels",
    "count_structures",
    "default_workers",
    "derive_seed",
    "draw_annotated_thorax",
    "draw_body_part",
    "draw_thorax",
    "index_folder",
    "load_datalist",
    "organ_labels",
    "read_list_file",
    "read_radiograph",
    "read_set",
    "read_structure_values",
    "save_datalist",
    "set_names",
    "split_by_patient",
    "verify_cache",
    "write_body_parts",
    "write_phantoms",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
