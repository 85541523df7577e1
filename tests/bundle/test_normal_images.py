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
from typing import Any

import pytest

from monai_lamps.bundle import normal_images

ITEMS: list[dict[str, Any]] = [
    {"image": "a", "normal": 1, "labels": {"finding": ["No Finding"], "tb": 0}},
    {"image": "b", "normal": 0, "labels": {"finding": ["Mass", "Edema"], "tb": 1}},
    {"image": "c", "normal": "1.0", "labels": {"finding": ["no finding"]}},
    {"image": "d"},
]


def _names(items: list[Any]) -> list[str]:
    return [item["image"] for item in items]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("normal", 1, ["a", "c"]),
        ("normal", "1", ["a", "c"]),
        ("normal", True, ["a", "c"]),
        ("normal", 0, ["b"]),
        ("tb", 0, ["a"]),
        ("finding", "No Finding", ["a", "c"]),
        ("finding", "edema", ["b"]),
    ],
)
def test_images_are_chosen_by_an_entry_of_the_item_or_of_its_labels(column: str, value: Any, expected: list) -> None:
    assert _names(normal_images(ITEMS, column, value)) == expected


def test_what_was_chosen_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        normal_images(ITEMS, "normal", 1, "validation")
    assert "2 of 4 validation images are normal (normal = 1)" in caplog.text


def test_without_a_column_all_are_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert _names(normal_images(ITEMS)) == ["a", "b", "c", "d"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "all 4 training images are taken for normal" in record.message
    assert "--normal_column NAME" in record.message


def test_of_no_images_none_is_normal_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert normal_images([], "normal") == normal_images([]) == []
    assert caplog.records == []


def test_a_column_that_no_item_has_is_refused_with_those_they_have() -> None:
    message = r"no training image has the column 'norm' of normal_column; they have \['finding', 'image', 'labels'"
    with pytest.raises(ValueError, match=message):
        normal_images(ITEMS, "norm")


def test_a_value_that_no_item_has_is_refused_with_those_they_have() -> None:
    message = (
        r"no validation image has 'healthy' in the column 'finding', which holds 'No Finding' \(1\).*--normal_value"
    )
    with pytest.raises(ValueError, match=message):
        normal_images(ITEMS, "finding", "healthy", "validation")
