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
"""What organ, side and view a text names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from monai_lamps.data.organs.spellings import LATERALITIES, ORGAN_SPELLINGS, ROUTINE_WORDS, VIEWS, words_of

__all__ = ["CODA_ORGANS", "ORGAN_NAMES", "OrganLabel", "OrganNames"]

#: the 23 organs that Coda was pretrained on
CODA_ORGANS: tuple[str, ...] = tuple(ORGAN_SPELLINGS)[:23]
_LONGEST_NAME = 4  # words


@dataclass(frozen=True)
class OrganLabel:
    """What a radiograph shows, as far as it is known; an empty text is unknown.

    Attributes:
        organ: name of the organ (body part), in lower case.
        laterality: ``"L"``, ``"R"`` or ``"B"`` (both), the patient's side.
        view: DICOM's View Position, such as ``"PA"``, ``"AP"``, ``"LL"``, or ``"LATERAL"``, ``"OBLIQUE"``, ``"AXIAL"``,
            ``"PANORAMIC"``.
        spelling: the text that was read; with an empty ``organ`` it is one that names no known organ.
    """

    organ: str = ""
    laterality: str = ""
    view: str = ""
    spelling: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """What is known, as entries of a datalist's item: ``organ``, ``laterality``, ``view``."""
        found = {"organ": self.organ, "laterality": self.laterality, "view": self.view}
        return {name: value for name, value in found.items() if value}

    def or_else(self, other: OrganLabel) -> OrganLabel:
        """This label, with what only the other one knows.

        Args:
            other: a label from a less trusted place.
        """
        return OrganLabel(*(getattr(self, name.name) or getattr(other, name.name) for name in fields(self)))


class OrganNames:
    """The organs that are known, and how they are spelled.

    Case, accents, punctuation and blanks do not matter, nor does a plural; sides, views and routine words may stand
    beside the organ (``"XR_HAND_LT"``, ``"Knee 2 views"``, ``"C-SPINE LAT"``). A text that names two organs (``"HAND
    WRIST"``) names none.

    Args:
        spellings: spellings of each organ beside its own name.

    Raises:
        ValueError: when there is no organ, or two share a spelling.

    Example:
        >>> ORGAN_NAMES.read("L HAND PA")
        OrganLabel(organ='hand', laterality='L', view='PA', spelling='L HAND PA')
        >>> ORGAN_NAMES.also({"hoof": ["FRONT HOOF"]}).read("front hoof").organ
        'hoof'
    """

    def __init__(self, spellings: Mapping[str, Sequence[str]] = ORGAN_SPELLINGS) -> None:
        if not spellings:
            raise ValueError("spellings got no organ, expected some, such as {'hand': ['HANDS']}.")
        self.spellings = {organ: tuple(others) for organ, others in spellings.items()}
        self._organ: dict[str, str] = {}
        for organ, others in self.spellings.items():
            for spelling in (organ, *others):
                compact = "".join(words_of(spelling))
                if self._organ.setdefault(compact, organ) != organ:
                    raise ValueError(
                        f"'{spelling}' is given as a spelling of {organ} and of {self._organ[compact]}; "
                        "leave it with one of them."
                    )

    @property
    def organs(self) -> list[str]:
        """Names of the known organs, sorted."""
        return sorted(self.spellings)

    def also(self, spellings: Mapping[str, Sequence[str]]) -> OrganNames:
        """These names and others.

        Args:
            spellings: spellings of organs, new or known ones.

        Raises:
            ValueError: when two organs share a spelling.
        """
        merged = dict(self.spellings)
        for organ, others in spellings.items():
            merged[organ] = (*merged.get(organ, ()), *others)
        return OrganNames(merged)

    def read(self, text: str) -> OrganLabel:
        """What a text names.

        Args:
            text: content of a column, a header entry or a folder's name.

        Returns:
            the label; its ``organ`` is empty when the text names no known organ, or several.
        """
        words = words_of(text)
        found, rest = self._find(words)
        sides = {LATERALITIES[word] for word in rest if word in LATERALITIES}
        views = [VIEWS[word] for word in words if word in VIEWS]
        return OrganLabel(
            organ=next(iter(found)) if len(found) == 1 else "",
            laterality=("B" if len(sides) == 2 else next(iter(sides))) if 1 <= len(sides) <= 2 else "",
            view=views[0] if len(set(views)) == 1 else "",
            spelling=text.strip(),
        )

    def nearest(self, text: str) -> str:
        """The organ whose spelling is most like a text that names none; empty when nothing is like it.

        Args:
            text: a spelling that :meth:`read` does not know.
        """
        words = [word for word in words_of(text) if word not in LATERALITIES and word not in ROUTINE_WORDS]
        for tried in ("".join(words), *words):
            close = difflib.get_close_matches(tried, self._organ, n=1, cutoff=0.7)
            if close:
                return self._organ[close[0]]
        return ""

    def _find(self, words: Sequence[str]) -> tuple[set[str], list[str]]:
        """The organs that are named, longest names first, and the words that are no part of a name."""
        found: set[str] = set()
        rest: list[str] = []
        start = 0
        while start < len(words):
            for length in range(min(_LONGEST_NAME, len(words) - start), 0, -1):
                organ = self._lookup("".join(words[start : start + length]))
                if organ:
                    found.add(organ)
                    start += length
                    break
            else:
                word = words[start]
                joined = self._lookup(word[1:]) if word[0] in "LR" and len(word) > 3 else ""  # RHAND, LKNEE
                if joined:
                    found.add(joined)
                rest.append(word[0] if joined else word)
                start += 1
        return found, rest

    def _lookup(self, word: str) -> str:
        return self._organ.get(word) or (self._organ.get(word[:-1], "") if word.endswith("S") and len(word) > 3 else "")


#: the names that are used unless others are given
ORGAN_NAMES = OrganNames()
