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
"""Masks and labels of radiographs: label maps, mask files, polygons, run lengths, class labels."""

from __future__ import annotations

from .counts import count_labels, count_structures, label_value
from .error import AnnotationError
from .mask_file import check_orientation, read_binary_mask, read_label_map
from .paths import map_mask_paths, read_structure_values, resolve_mask_paths
from .polygon import fill_polygons
from .run_length import decode_run_lengths
from .structures import FORMS, StructureValues, annotated_structures, image_name, structure_masks

__all__ = [
    "AnnotationError",
    "FORMS",
    "StructureValues",
    "annotated_structures",
    "check_orientation",
    "count_labels",
    "count_structures",
    "decode_run_lengths",
    "fill_polygons",
    "image_name",
    "label_value",
    "map_mask_paths",
    "read_binary_mask",
    "read_label_map",
    "read_structure_values",
    "resolve_mask_paths",
    "structure_masks",
]
