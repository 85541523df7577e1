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

from typing import Any

import pytest
import torch
from toy_task import classification, encoder

from monai_lamps.engines import Progress
from monai_lamps.metrics import ClassificationFigures, MultiClassFigures
from monai_lamps.tasks import Classification, LinearClassifier, MultiClass

START = Progress(0, 0.0, 1, 1)
NAN = float("nan")


def batch() -> dict[str, Any]:
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    return {"image": images, "label": torch.tensor([[1.0, 0.0], [0.0, NAN], [1.0, 1.0], [0.0, 0.0]])}


def test_it_is_multi_label_by_default_and_learns() -> None:
    task, data = classification(), batch()
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.01)
    for _ in range(30):
        terms = task(data, START)
        assert list(terms) == ["bce"]
        optimizer.zero_grad()
        terms["bce"].backward()
        optimizer.step()
    task.eval()
    rows = task.figures.rows(task.predict(data["image"]), data)
    assert task.figures.summary(rows)["auroc"] == 1
    assert type(task.figures) is ClassificationFigures


def test_exclusive_classes_are_another_kind_of_label() -> None:
    task, data = classification(labels=MultiClass()), batch()
    data["label"] = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 2)
    assert list(task(data, START)) == ["ce"]
    assert task.predict(data["image"]).sum(1).tolist() == pytest.approx([1.0] * 4)
    assert isinstance(task.figures, MultiClassFigures)


def test_curves_are_drawn_of_the_classes_that_have_them() -> None:
    task, data = classification(), batch()
    rows = task.figures.rows(task.predict(data["image"]), data)
    pictures = task.case_pictures(rows, lambda _: {})
    assert set(pictures) == {"roc", "reliability"}
    unknown = task.figures.rows(torch.full((2, 2), 0.5), {"label": torch.full((2, 2), NAN)})
    assert task.case_pictures(unknown, lambda _: {}) == {}
    positive = task.figures.rows(torch.full((2, 2), 0.5), {"label": torch.ones(2, 2)})
    assert set(task.case_pictures(positive, lambda _: {})) == {"reliability"}


def test_images_are_shown_with_the_most_probable_class() -> None:
    task, data = classification(), batch()
    picture = task.pictures(data)["cases"]
    assert picture.shape == (3, 9 * 16 + 14, 4 * 9 * 16 + 3 * 2)  # 144 px wide, for the captions
    assert torch.equal(picture[:, 14::9, : 9 * 16 : 9], data["image"][0].expand(3, -1, -1))


def test_shapes_and_names_that_do_not_fit_are_named() -> None:
    task, data = classification(), batch()
    with pytest.raises(
        ValueError, match=r"gives \(4, 2\), the labels are \(4, 1\); both must be \(B, 2\) for the clas"
    ):
        task({**data, "label": data["label"][:, :1]}, START)
    with pytest.raises(ValueError, match=r"the figures are of \['c'\], expected \['a'\]"):
        Classification(LinearClassifier(encoder(), 1), ["a"], figures=ClassificationFigures(["c"]))
