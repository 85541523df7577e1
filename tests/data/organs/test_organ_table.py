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

import pytest

from monai_lamps.data.organs import ColumnOrgans, FolderOrgans, organ_labels, read_organs


def items(*organs: str) -> list[dict[str, str]]:
    return [{"image": f"{number}.png", "organ": organ} for number, organ in enumerate(organs)]


def test_organs_are_numbered_in_the_order_of_their_names() -> None:
    table = organ_labels(items("knee", "L HAND", "", "hands", "KNIE"), ColumnOrgans())
    assert table.names == ["hand", "knee"]
    assert table.index == [1, 0, -1, 0, 1]
    assert table.counts == {"hand": 2, "knee": 2}
    assert table.labels[1].laterality == "L"


def test_items_carry_their_number() -> None:
    rows = items("knee", "hand", "knee", "hand", "")
    table = organ_labels(rows, ColumnOrgans())
    assert [item["organ_index"] for item in table.numbered(rows)] == [1, 0, 1, 0, -1]
    assert table.numbered(rows, "number")[0] == {"image": "0.png", "organ": "knee", "number": 1}
    assert "organ_index" not in rows[0]
    with pytest.raises(ValueError, match="items got 2, expected the 5 that the table was made of"):
        table.numbered(rows[:2])


def test_unknown_spellings_are_listed_once_with_the_nearest_known(caplog: pytest.LogCaptureFixture) -> None:
    rows = items("hand", "hand", "knee", "knee", "kne", "kne", "frobnicator", "", "")
    with caplog.at_level(logging.INFO):
        table = organ_labels(rows, ColumnOrgans())
    assert table.index == [0, 0, 1, 1, -1, -1, -1, -1, -1]
    assert caplog.messages == [
        "3 images have an organ that is not known in column 'organ': 'kne' (knee?) 2, 'frobnicator' 1.",
        "2 of 9 images name no organ in column 'organ'.",
    ]


def test_many_unknown_spellings_are_a_line_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    read_organs([*items("hand"), *items(*(f"zz{number:02d}" for number in range(14)))], ColumnOrgans())
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("'zz09' 1 and 4 more.")


def test_an_organ_with_one_image_counts_as_unknown(caplog: pytest.LogCaptureFixture) -> None:
    rows = items("hand", "hand", "knee", "knee", "foot")
    table = organ_labels(rows, ColumnOrgans())
    assert table.names == ["hand", "knee"]
    assert table.index[-1] == -1
    assert caplog.messages == ["organs with fewer than 2 images count as unknown: foot 1."]
    assert organ_labels(rows, ColumnOrgans(), minimum=1).names == ["foot", "hand", "knee"]


def test_data_of_one_organ_are_refused_with_a_mend() -> None:
    message = r"the images show hand 3, knee 1, expected at least two organs with 2 images or more each.*Add images of"
    with pytest.raises(ValueError, match=message):
        organ_labels(items("hand", "hand", "hand", "knee"), ColumnOrgans())


def test_data_without_any_organ_are_refused_with_what_they_have() -> None:
    with pytest.raises(ValueError, match=r"none of 2 images has a known organ in column 'organ'\. Known are abdomen, "):
        organ_labels(items("", ""), ColumnOrgans())
    with pytest.raises(ValueError, match=r"in column 'organ', which have 'kne' \(knee\?\) 1\. .*data organs DATALIST"):
        organ_labels(items("kne"), ColumnOrgans())
    with pytest.raises(ValueError, match=r"in the names of the folders, which have 'p1' 1\..*name the folders after"):
        organ_labels([{"image": "p1/a.png"}], FolderOrgans())


def test_validation_gets_the_numbers_of_training(caplog: pytest.LogCaptureFixture) -> None:
    table = organ_labels(items("knee", "foot", "knee", ""), ColumnOrgans(), names=["hand", "knee"])
    assert table.names == ["hand", "knee"]
    assert table.index == [1, -1, 1, -1]
    assert table.counts == {"hand": 0, "knee": 2}
    assert caplog.messages[-1] == "organs beside hand, knee count as unknown: foot 1."
    assert organ_labels(items(""), ColumnOrgans(), names=["hand", "knee"]).index == [-1]
