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

import math
from typing import Any

import pytest
import torch
from monai.data import MetaTensor

from monai_lamps.data.annotations import AnnotationError
from monai_lamps.transforms.load_labels import LoadLabels, LoadLabelsD, LoadLabelsd, LoadLabelsDict


def test_labels_come_in_the_order_of_the_classes() -> None:
    labels = LoadLabels(["b", "a"])({"a": 1, "b": 0.25, "c": 1})
    assert labels.dtype == torch.float32
    assert labels.tolist() == [0.25, 1.0]


@pytest.mark.parametrize("value", [-1, -1.0, None, math.nan])
def test_unknown_is_nan(value: float | None) -> None:
    labels = LoadLabels(["a", "b"])({"a": value, "b": True})
    assert labels.isnan().tolist() == [True, False]
    assert labels[1] == 1


def test_a_list_has_one_value_for_each_class() -> None:
    assert LoadLabels(["a", "b"])([1, 0]).tolist() == [1, 0]


def test_a_missing_class_is_an_error_unless_it_is_to_be_unknown() -> None:
    with pytest.raises(AnnotationError, match=r"image 'x.png' has no label 'b'; it has a, c. Add it .-1 says unknown"):
        LoadLabels(["a", "b"])({"a": 1, "c": 0}, "x.png")
    assert LoadLabels(["a", "b"], missing="unknown")({"a": 1}).isnan().tolist() == [False, True]


@pytest.mark.parametrize("value", [2, -0.5, "1", [1], math.inf])
def test_a_value_that_is_no_label_is_refused(value: Any) -> None:
    with pytest.raises(AnnotationError, match=r"image 'x.png': label 'a' is .*; expected 0, 1, a probability"):
        LoadLabels(["a"])({"a": value}, "x.png")


@pytest.mark.parametrize("labels", [[1], "ab", 3, None])
def test_labels_that_are_neither_mapping_nor_list_of_that_length_are_refused(labels: Any) -> None:
    with pytest.raises(AnnotationError, match=r"image 'x.png': labels must be a mapping from classes or a list of 2"):
        LoadLabels(["a", "b"])(labels, "x.png")


@pytest.mark.parametrize("classes", [[], ["a", "a"], "ab"])
def test_classes_have_to_be_different_names(classes: Any) -> None:
    with pytest.raises(ValueError, match=r"classes must be a list of different names"):
        LoadLabels(classes)


def test_an_unknown_rule_for_missing_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"missing must be one of error, unknown, got 'ignore'"):
        LoadLabels(["a"], missing="ignore")


def test_the_dictionary_version_puts_the_numbers_under_its_key() -> None:
    item = LoadLabelsd("label", ["a"])({"image": "x.png", "labels": {"a": 1}, "patient": "p"})
    assert set(item) == {"image", "patient", "label"}
    assert item["label"].tolist() == [1]
    assert LoadLabelsD is LoadLabelsDict is LoadLabelsd


def test_the_dictionary_version_names_the_image_in_errors() -> None:
    image = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": "x.png"})
    with pytest.raises(
        AnnotationError, match=r"image 'x.png' has no 'labels'; give the item \"labels\": ..a\": 0 or 1"
    ):
        LoadLabelsd("label", ["a"])({"image": image})
    with pytest.raises(AnnotationError, match=r"image 'x.png' has no label 'a'"):
        LoadLabelsd("label", ["a"])({"image": image, "labels": {}})
    with pytest.raises(ValueError, match=r"keys must be one key"):
        LoadLabelsd(["label", "other"], ["a"])
