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
"""The organ, side and view that the header of a DICOM file states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pydicom

from monai_lamps.data.errors import RadiographError
from monai_lamps.data.organs.names import ORGAN_NAMES, OrganLabel, OrganNames
from monai_lamps.data.organs.sources import OrganSource
from monai_lamps.data.radiograph import detect_format

__all__ = ["DicomOrgans", "organ_of_header"]

#: elements that name the organ, the most trusted first; the others are free text
_ORGAN = ("BodyPartExamined", "AnatomicRegionSequence")
_TEXT = (
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "SeriesDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)
_SIDE = ("ImageLaterality", "Laterality", "FrameLaterality")
_VIEW = ("ViewPosition", "ViewCodeSequence")
_ELEMENTS = (*_ORGAN, *_TEXT, *_SIDE, *_VIEW)
_THREADS = 8


def organ_of_header(header: pydicom.Dataset, names: OrganNames = ORGAN_NAMES) -> OrganLabel:
    """The organ, side and view of a radiograph from its DICOM header.

    The organ is Body Part Examined; where that is empty or names no organ (``EXTREMITY``), Anatomic Region Sequence,
    then the first that names one of Protocol Name, Acquisition Device Processing Description, Series, Requested
    Procedure and Study Description. Side and view stand in their own elements (Image Laterality, Laterality; View
    Position, View Code Sequence), else in the same texts; a free text names the side only where it names the organ too.

    Args:
        header: the data set, its pixels are not needed.
        names: the known organs and their spellings.

    Returns:
        the label; ``spelling`` is Body Part Examined where that is not empty.
    """
    found = OrganLabel(spelling=_text(header, _ORGAN[0]))
    for keyword in (*_ORGAN, *_TEXT):
        label = names.read(_text(header, keyword))
        if label.organ in ("", found.organ) or not found.organ:  # not the side of another organ
            side = label.laterality if label.organ or keyword in _ORGAN else ""  # "R/O fracture" names no side
            found = found.or_else(OrganLabel(label.organ, side, label.view))
    sides = [names.read(_text(header, keyword)).laterality for keyword in _SIDE]
    views = [names.read(text).view or text.upper() for text in (_text(header, keyword) for keyword in _VIEW)]
    stated = OrganLabel("", next(filter(None, sides), ""), next(filter(None, views), ""))
    return stated.or_else(found)


def _text(header: pydicom.Dataset, keyword: str) -> str:
    """An element as text; of a code sequence the meaning of its first item."""
    value = header.get(keyword)
    if keyword.endswith("Sequence"):
        return str(value[0].get("CodeMeaning", "") or "").strip() if value else ""
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    return str(value or "").strip()


class DicomOrgans(OrganSource):
    """The organ that the DICOM header of the image states, see :func:`organ_of_header`.

    Only the header is read, in every run anew; ``python -m monai_lamps.data organs DATALIST --from dicom`` writes it
    into the datalist once.

    Args:
        names: the known organs and their spellings.
    """

    place = "the DICOM headers (Body Part Examined and others)"
    mend = "take the organs from a column or the names of the folders"

    def __call__(self, item: Mapping[str, Any]) -> OrganLabel:
        """The label of one item.

        Args:
            item: an item of a datalist; its ``image`` is a path.

        Raises:
            RadiographError: when the file is absent, no DICOM, or has a header that cannot be read.
        """
        return organ_of_header(_read_header(str(item["image"])), self.names)

    def _map(self, items: Sequence[Mapping[str, Any]]) -> Iterable[OrganLabel | RadiographError]:
        with ThreadPoolExecutor(_THREADS) as pool:  # a network drive answers many at once
            return list(pool.map(self._attempt, items))


def _read_header(path: str) -> pydicom.Dataset:
    kind = detect_format(path)
    if kind != "dicom":
        raise RadiographError(path, f"a {kind} file without a DICOM header", DicomOrgans.mend)
    try:
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=[*_ELEMENTS])
        for keyword in _ELEMENTS:  # elements are decoded when they are first looked at
            header.get(keyword)
    except Exception as error:  # pydicom raises whatever its decoding meets
        text = " ".join(str(error).replace(path, "it").split())[:200] or type(error).__name__
        raise RadiographError(path, f"DICOM header that cannot be read ({text})", "copy the file again") from error
    return header
