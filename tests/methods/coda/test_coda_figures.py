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

import pytest
import torch

from monai_lamps.methods.coda import organ_accuracy, organ_chance, prototype_figures

ORGANS, IMAGES = torch.tensor([0, 0, 1, 1]), torch.arange(4)


def _accuracy(queries: torch.Tensor, keys: torch.Tensor, organs: torch.Tensor = ORGANS) -> float:
    return float(organ_accuracy(queries, organs, IMAGES, keys, organs, IMAGES))


def test_embeddings_that_are_apart_by_organ_are_all_right_and_mixed_ones_all_wrong() -> None:
    apart = torch.tensor([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]])
    assert _accuracy(apart, apart) == 1.0
    mixed = apart[[0, 2, 1, 3]]
    assert _accuracy(mixed, mixed) == 0.0
    assert _accuracy(7 * mixed, mixed / 3) == 0.0


def test_an_organ_that_is_not_known_is_neither_asked_nor_an_answer() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.0, 1.1]])
    assert _accuracy(points, points) == 0.0
    organs = torch.tensor([0, 0, -1, -1])
    assert _accuracy(points, points, organs) == 1.0
    assert float(organ_chance(organs, IMAGES, organs, IMAGES)) == 1.0


def test_chance_is_the_mean_share_of_the_same_organ_among_other_images() -> None:
    assert float(organ_chance(ORGANS, IMAGES, ORGANS, IMAGES)) == pytest.approx(1 / 3)
    organs = torch.tensor([0, 0, 0, 1])
    assert float(organ_chance(organs, IMAGES, organs, IMAGES)) == pytest.approx((3 * 2 / 3 + 0) / 4)


def test_of_independent_embeddings_accuracy_is_near_chance() -> None:
    draw = torch.Generator().manual_seed(0)
    organs, images = torch.randint(0, 5, (600,), generator=draw), torch.arange(600)
    points = torch.randn(600, 16, generator=draw)
    accuracy = float(organ_accuracy(points, organs, images, points, organs, images))
    assert accuracy == pytest.approx(float(organ_chance(organs, images, organs, images)), abs=0.06)


@pytest.mark.parametrize("organs", [torch.full((4,), -1), torch.tensor([-1, -1, 2, -1])])
def test_without_a_pair_to_compare_both_are_zero(organs: torch.Tensor) -> None:
    assert _accuracy(torch.rand(4, 3), torch.rand(4, 3), organs) == 0.0
    assert float(organ_chance(organs, IMAGES, organs, IMAGES)) == 0.0


def test_prototype_figures_tell_both_kinds_of_collapse() -> None:
    center = torch.zeros(1, 8)
    flat = prototype_figures(torch.zeros(4, 8), center, 0.04)
    assert float(flat["teacher_entropy"]) == pytest.approx(1.0)
    assert float(flat["prototypes_used"]) == pytest.approx(8.0, rel=1e-5)
    same = prototype_figures(torch.eye(8)[[3, 3, 3]], center, 0.04)
    assert float(same["teacher_entropy"]) < 1e-6
    assert float(same["prototypes_used"]) == pytest.approx(1.0, abs=1e-5)
    different = prototype_figures(torch.eye(8)[None, :4], center, 0.04)
    assert float(different["teacher_entropy"]) < 1e-6
    assert float(different["prototypes_used"]) == pytest.approx(4.0, rel=1e-5)


def test_the_entropy_is_that_of_the_centred_and_sharpened_distribution() -> None:
    logits, center = torch.rand(3, 5), torch.rand(1, 5)
    share = ((logits - center) / 0.3).softmax(-1)
    expected = -(share * share.log()).sum(-1).mean() / math.log(5)
    torch.testing.assert_close(prototype_figures(logits, center, 0.3)["teacher_entropy"], expected)
