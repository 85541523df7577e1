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

import pytest

from monai_lamps.data.annotations import AnnotationError, count_labels, count_structures


def test_structures_are_counted_in_whichever_form_they_come() -> None:
    items = [
        {"image": "a", "masks": {"heart": "h.png", "ribs": None}},
        {"image": "b", "polygons": {"ribs": []}, "label": "b.png"},
        {"image": "c"},
    ]
    assert count_structures(items, {"heart": 1}) == {"heart": 2, "ribs": 2}


def test_labels_are_counted_with_what_is_unknown() -> None:
    items = [{"labels": {"a": 1, "b": 0}}, {"labels": {"a": 0.5, "b": -1}}, {"labels": {"a": 0.2}}, {"image": "x"}]
    assert count_labels(items) == {
        "a": {"positive": 2, "negative": 1, "unknown": 1},
        "b": {"positive": 0, "negative": 1, "unknown": 3},
    }
    assert list(count_labels(items, ["c"])) == ["c"]


def test_a_value_that_is_no_label_is_named() -> None:
    with pytest.raises(AnnotationError, match=r"image 'x.png': label 'a' is 2; expected 0, 1, a probability"):
        count_labels([{"image": "x.png", "labels": {"a": 2}}])
