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
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from monai_lamps.tasks import LabelKind, MultiClass, MultiLabel

NAN = float("nan")
LOGITS = torch.tensor([[0.3, -1.2, 2.0], [-0.5, 0.1, 0.7]])


def test_unknown_labels_are_left_out_of_the_mean_and_of_the_gradient() -> None:
    label = torch.tensor([[1.0, NAN, 0.0], [-1.0, 0.7, NAN]])
    logits = LOGITS.clone().requires_grad_()
    loss = MultiLabel()(logits, label)
    loss.backward()
    known = label >= 0
    assert known.sum() == 3
    assert loss.item() == pytest.approx(binary_cross_entropy_with_logits(LOGITS[known], label[known]).item())
    assert logits.grad is not None
    assert ((logits.grad != 0) == known).all()
    assert torch.isfinite(logits.grad).all()


def test_an_image_with_an_unknown_label_is_left_out_where_classes_exclude_each_other() -> None:
    label = torch.tensor([[0.0, 0.0, 1.0], [NAN, 1.0, 0.0]])
    logits = LOGITS.clone().requires_grad_()
    loss = MultiClass()(logits, label)
    loss.backward()
    assert loss.item() == pytest.approx(cross_entropy(LOGITS[:1], torch.tensor([2])).item())
    assert logits.grad is not None
    assert logits.grad[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", [MultiLabel(), MultiClass()])
def test_a_batch_without_any_known_label_has_a_loss_of_0(kind: LabelKind) -> None:
    assert kind(LOGITS, torch.full((2, 3), NAN)).item() == 0


def test_probabilities_and_figures_belong_to_the_kind() -> None:
    assert torch.equal(MultiLabel().probabilities(LOGITS), LOGITS.sigmoid())
    assert torch.equal(MultiClass().probabilities(LOGITS), LOGITS.softmax(1))
    assert "accuracy" in MultiClass().figures(["a"]).summary([{"probability/a": 1.0, "label/a": 1.0}])
    assert "accuracy" not in MultiLabel().figures(["a"]).summary([{"probability/a": 1.0, "label/a": 1.0}])


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(MultiLabel(nn.BCEWithLogitsLoss()), r"\(2, 3\)"), (MultiClass(nn.CrossEntropyLoss()), r"\(2,\)")],
)
def test_a_loss_that_reduces_by_itself_is_refused(kind: LabelKind, shape: str) -> None:
    with pytest.raises(ValueError, match=rf"the loss gives \(\), expected {shape}.*build it with reduction='none'"):
        kind(LOGITS, torch.zeros(2, 3))
