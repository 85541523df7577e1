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
from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Amount"]


@dataclass(frozen=True)
class Amount:
    """How much of the training section is used: a column of the table.

    Attributes:
        id: id of the bundle that says it, "shots" (a number of images or patients) or "share" (of them, 0 to 1).
        value: its value; 0 shots are all.
    """

    id: str
    value: float

    @property
    def label(self) -> str:
        """As a heading: "3", "all" or "10 %"."""
        if self.id == "share":
            return f"{100 * self.value:g} %"
        return f"{self.value:g}" if self.value else "all"

    @property
    def words(self) -> str:
        """In a sentence: "3 images", "all images" or "10 % of the images"."""
        if self.id == "share":
            return f"{self.label} of the images"
        return f"{self.label} image{'' if self.value == 1 else 's'}"

    @property
    def folder(self) -> str:
        """As the name of a folder."""
        return f"{self.id}-{self.value:g}"
