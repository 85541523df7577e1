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
"""Where the organ of an item is found: in a column of the datalist or in the names of its folders."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.errors import RadiographError
from monai_lamps.data.organs.names import ORGAN_NAMES, OrganLabel, OrganNames
from monai_lamps.data.organs.spellings import words_of

__all__ = ["ColumnOrgans", "FolderOrgans", "OrganSource"]

_LOGGER = logging.getLogger(__name__)
Item = Mapping[str, Any]


class OrganSource(ABC):
    """Reads the organ of an item; a source is called with an item and gives an :class:`OrganLabel`.

    Args:
        names: the known organs and their spellings.
    """

    #: where the organ is looked for and what to do when it is not there, for messages
    place: str = ""
    mend: str = ""

    def __init__(self, names: OrganNames = ORGAN_NAMES) -> None:
        self.names = names

    @abstractmethod
    def __call__(self, item: Item) -> OrganLabel:
        """The label of one item; an organ that cannot be read is empty.

        Args:
            item: an item of a datalist.
        """

    def read_all(self, items: Sequence[Item]) -> list[OrganLabel]:
        """Labels of many items. Files that cannot be read have none; one warning tells how many.

        Args:
            items: items of a datalist.

        Raises:
            RadiographError: when no file can be read.
        """
        results = list(self._map(items))
        failures = [result for result in results if isinstance(result, RadiographError)]
        if failures and len(failures) == len(results):
            raise failures[0]
        if failures:
            _LOGGER.warning(f"{len(failures)} of {len(results)} images have no readable organ, such as {failures[0]}")
        return [OrganLabel() if isinstance(result, RadiographError) else result for result in results]

    def _map(self, items: Sequence[Item]) -> Iterable[OrganLabel | RadiographError]:
        return map(self._attempt, items)

    def _attempt(self, item: Item) -> OrganLabel | RadiographError:
        try:
            return self(item)
        except RadiographError as error:
            return error


class ColumnOrgans(OrganSource):
    """The organ that stands in a column of the datalist, an entry of the item or of its ``labels``.

    Args:
        column: entry that names the organ; it may hold the side and the view too (``"L HAND"``).
        laterality: entry that names the side; one that is absent is no error.
        view: entry that names the view; one that is absent is no error. A view that is not known stays as written.
        names: the known organs and their spellings.

    Example:
        >>> ColumnOrgans()({"image": "a.png", "organ": "Hands", "laterality": "left"})
        OrganLabel(organ='hand', laterality='L', view='', spelling='Hands')
    """

    def __init__(
        self,
        column: str = "organ",
        laterality: str = "laterality",
        view: str = "view",
        names: OrganNames = ORGAN_NAMES,
    ) -> None:
        super().__init__(names)
        self.column, self.laterality, self.view = column, laterality, view
        self.place = f"column '{column}'"
        self.mend = (
            f'give each item its organ ("{column}": "hand"), name another column, or write the organs into the '
            "datalist: python -m monai_lamps.data organs DATALIST --from dicom|folder --out NEW.json"
        )

    def __call__(self, item: Item) -> OrganLabel:
        """The label of one item.

        Args:
            item: an item of a datalist.

        Raises:
            ValueError: when the column holds something that is no text.
        """
        organ = self.names.read(self._text(item, self.column))
        side, view = self._text(item, self.laterality), self._text(item, self.view)
        read_view = self.names.read(view).view or view
        return OrganLabel(organ.organ, self.names.read(side).laterality, read_view, organ.spelling).or_else(organ)

    def _text(self, item: Item, column: str) -> str:
        labels = item.get("labels")
        value = item.get(column, labels.get(column) if isinstance(labels, Mapping) else None)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if not isinstance(value, str):
            raise ValueError(
                f"column '{column}' of '{item.get('image')}' got {value!r} of type {type(value).__name__}, expected "
                "a text such as 'hand'; write names instead of numbers, or name another column."
            )
        return value


class FolderOrgans(OrganSource):
    """The organ that a folder of the image is named after, as in ``hand/left/001.png`` or ``XR_HAND/patient7/1.png``.

    Args:
        level: which folder names it, 1 for the one that holds the file, 2 for the one above; None for the nearest
            folder whose name is a known organ. Side and view are taken from it, or from the folders below it that name
            them.
        below: the folders looked at end with this one (it is not looked at itself); None for all.
        names: the known organs and their spellings.

    Raises:
        ValueError: when ``level`` is below 1.

    Example:
        >>> FolderOrgans()({"image": "data/hand/left/001.png"})
        OrganLabel(organ='hand', laterality='L', view='', spelling='hand')
    """

    place = "the names of the folders"
    mend = "name the folders after organs (hand/001.png), or say which level of folders does"

    def __init__(
        self, level: int | None = None, below: str | Path | None = None, names: OrganNames = ORGAN_NAMES
    ) -> None:
        super().__init__(names)
        if level is not None and level < 1:
            raise ValueError(f"level got {level}, expected 1 (the folder that holds the file) or above, or None.")
        self.level = level
        self.below = Path(below) if below is not None else None

    def __call__(self, item: Item) -> OrganLabel:
        """The label of one item.

        Args:
            item: an item of a datalist; its ``image`` is a path.
        """
        path = Path(str(item["image"]))
        if self.below is not None and path.is_relative_to(self.below):
            path = path.relative_to(self.below)
        folders = [name for name in reversed(path.parent.parts) if words_of(name)]
        side = OrganLabel()
        for level, folder in enumerate(folders, start=1):
            label = self.names.read(folder)
            if level == self.level or (self.level is None and label.organ):
                return label.or_else(side)
            side = side.or_else(OrganLabel("", label.laterality, label.view))
        return OrganLabel(spelling=folders[0] if folders and self.level is None else "")
