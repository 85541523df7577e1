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
"""What an evaluation shows: drawings with Pillow, tables, and a page that opens without a network."""

from __future__ import annotations

from .densities import draw_densities
from .intervals import draw_intervals
from .matches import as_picture, draw_matches
from .page import Section, page
from .side_by_side import side_by_side
from .table import Entry, csv_table, entry_text, markdown_table

__all__ = [
    "Entry",
    "Section",
    "as_picture",
    "csv_table",
    "draw_densities",
    "draw_intervals",
    "draw_matches",
    "entry_text",
    "markdown_table",
    "page",
    "side_by_side",
]
