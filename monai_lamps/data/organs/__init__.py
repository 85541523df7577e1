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
"""What organ a radiograph shows, from a column of the datalist, the names of the folders, or the DICOM header.

- ``spellings``: how organs, sides and views are written; ``names``: reads a text;
- ``sources``, ``dicom``: where the text stands; ``table``: numbers for a data set; ``write``: into a datalist, once.
"""

from __future__ import annotations

from .dicom import DicomOrgans, organ_of_header
from .names import CODA_ORGANS, ORGAN_NAMES, OrganLabel, OrganNames
from .sources import ColumnOrgans, FolderOrgans, OrganSource
from .table import OrganTable, organ_labels, read_organs
from .write import add_organs

__all__ = [
    "CODA_ORGANS",
    "ColumnOrgans",
    "DicomOrgans",
    "FolderOrgans",
    "ORGAN_NAMES",
    "OrganLabel",
    "OrganNames",
    "OrganSource",
    "OrganTable",
    "add_organs",
    "organ_labels",
    "organ_of_header",
    "read_organs",
]
