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

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from monai_lamps.data import RadiographError
from monai_lamps.data.organs import DicomOrgans, OrganLabel, organ_of_header

PIXELS = np.zeros((4, 4), np.uint16)


def header(**elements: object) -> Dataset:
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def coded(meaning: str) -> Sequence:
    return Sequence([header(CodeMeaning=meaning)])


@pytest.mark.parametrize(
    ("elements", "label"),
    [
        ({"BodyPartExamined": "HAND", "Laterality": "L", "ViewPosition": "PA"}, OrganLabel("hand", "L", "PA", "HAND")),
        ({"BodyPartExamined": "HAND", "ImageLaterality": "R", "Laterality": "L"}, OrganLabel("hand", "R", "", "HAND")),
        ({"BodyPartExamined": "KNEE_LT"}, OrganLabel("knee", "L", "", "KNEE_LT")),
        ({"BodyPartExamined": "", "AnatomicRegionSequence": coded("Foot")}, OrganLabel("foot", "", "", "")),
        (
            {
                "BodyPartExamined": "EXTREMITY",
                "Laterality": "R",
                "AcquisitionDeviceProcessingDescription": "[LOWER LEG]",
            },
            OrganLabel("lower_leg", "R", "", "EXTREMITY"),
        ),
        (
            {"BodyPartExamined": "KNEE", "SeriesDescription": "KNEE RT LAT", "StudyDescription": "L HAND PA"},
            OrganLabel("knee", "R", "LATERAL", "KNEE"),
        ),
        ({"BodyPartExamined": "HIP", "StudyDescription": "R/O fracture"}, OrganLabel("hip", "", "", "HIP")),
        ({"BodyPartExamined": "HIP", "SeriesDescription": "view: AP"}, OrganLabel("hip", "", "AP", "HIP")),
        (
            {"BodyPartExamined": "CHEST", "ViewCodeSequence": coded("lateral")},
            OrganLabel("chest", "", "LATERAL", "CHEST"),
        ),
        ({"BodyPartExamined": "CHEST", "ViewPosition": "XYZ"}, OrganLabel("chest", "", "XYZ", "CHEST")),
        ({"BodyPartExamined": "FROG"}, OrganLabel("", "", "", "FROG")),
        ({"StudyDescription": "follow-up"}, OrganLabel()),
        ({"BodyPartExamined": None, "Laterality": ""}, OrganLabel()),
    ],
)
def test_the_most_trusted_element_of_the_header_counts(elements: dict, label: OrganLabel) -> None:
    assert organ_of_header(header(**elements)) == label


@pytest.mark.parametrize("bare", [False, True])
def test_a_file_is_read_with_or_without_a_preamble(tmp_path: Path, save_dicom: Callable[..., Path], bare: bool) -> None:
    path = save_dicom(tmp_path / "a.dcm", PIXELS, bare=bare, BodyPartExamined="ANKLE", Laterality="R")
    assert DicomOrgans()({"image": str(path)}) == OrganLabel("ankle", "R", "", "ANKLE")


def test_files_without_a_header_are_named_with_a_mend(tmp_path: Path, film: Callable[[Path, int], Path]) -> None:
    picture = film(tmp_path / "a.png", 0)
    with pytest.raises(
        RadiographError, match=r"a\.png: a raster file without a DICOM header; take the organs from a col"
    ):
        DicomOrgans()({"image": str(picture)})
    with pytest.raises(RadiographError, match=r"none\.dcm: no such file; check the path"):
        DicomOrgans()({"image": str(tmp_path / "none.dcm")})


def test_some_unreadable_files_are_one_warning_and_all_are_an_error(
    tmp_path: Path, save_dicom: Callable[..., Path], film: Callable[[Path, int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    sound = {"image": str(save_dicom(tmp_path / "a.dcm", PIXELS, BodyPartExamined="ANKLE"))}
    bad = {"image": str(film(tmp_path / "b.png", 0))}
    with caplog.at_level(logging.WARNING):
        labels = DicomOrgans().read_all([sound, bad, sound, bad])
    assert [label.organ for label in labels] == ["ankle", "", "ankle", ""]
    assert len(caplog.messages) == 1
    assert "2 of 4 images have no readable organ, such as" in caplog.text
    assert "b.png: a raster file without a DICOM header" in caplog.text
    with pytest.raises(RadiographError, match=r"b\.png"):
        DicomOrgans().read_all([bad, bad])


def test_a_damaged_header_is_a_radiograph_error(tmp_path: Path, save_dicom: Callable[..., Path]) -> None:
    path = save_dicom(tmp_path / "a.dcm", PIXELS, BodyPartExamined="ANKLE")
    content = path.read_bytes()
    place = content.index(b"ANKLE")
    path.write_bytes(content[: place - 4] + b"XX" + content[place - 2 :])  # a value representation that does not exist
    label = _attempt(path)
    assert isinstance(label, RadiographError) or label.organ == ""


def _attempt(path: Path) -> OrganLabel | RadiographError:
    try:
        return DicomOrgans()({"image": str(path)})
    except RadiographError as error:
        return error


def test_real_headers_are_read(shared: Path) -> None:
    found = {path.name: DicomOrgans()({"image": str(path)}) for path in (shared / "data/native").glob("*.dcm")}
    assert {name.split("_")[1]: label.organ for name, label in found.items() if name.startswith("cr_")} == {
        "chest": "chest",
        "hip": "hip",
        "leg": "lower_leg",
    }
    assert found["cr_leg_mono1_10bit_rle.dcm"] == OrganLabel("lower_leg", "R", "AP", "EXTREMITY")
