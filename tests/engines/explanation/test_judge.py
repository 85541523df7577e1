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

import numpy as np
import pytest
import torch

from monai_lamps.engines.explanation import NOTES, Judge, best_and_worst, draw_explanations


def score(images: torch.Tensor) -> torch.Tensor:
    return images[:, 0, :4, :4].mean(dim=(1, 2)).clamp(0, 1)


@pytest.fixture
def masks() -> torch.Tensor:
    made = torch.zeros(4, 1, 16, 16, dtype=torch.bool)
    made[:3, :, :4, :4] = True  # the last image shows nothing
    return made


def test_a_perfect_explanation_has_the_best_of_every_figure(masks: torch.Tensor) -> None:
    strengths = torch.tensor([0.9, 0.6, 0.3, 0.1])
    images = torch.ones(4, 1, 16, 16) * strengths[:, None, None, None]
    maps = torch.zeros(4, 1, 16, 16)
    maps[:, :, :4, :4] = strengths[:, None, None, None]
    judge = Judge(curve_steps=16)
    rows = judge.rows(maps, masks, images, score, score(images))
    assert set(rows[3]) == {"probability", "evidence_mass"}
    figures = judge.statistic(rows)(np.ones(4))
    assert list(figures) == list(NOTES)
    for name in ("pointing_game", "pixel_auroc", "pixel_average_precision", "energy_inside", "dice", "iou"):
        assert figures[name] == 1
    assert (figures["best_dice"], figures["evidence_correlation"]) == (1, pytest.approx(1))
    assert figures["deletion"] == pytest.approx(0.6 / 32)
    assert figures["insertion"] == pytest.approx(0.6, abs=0.02)
    assert {"probability", "evidence_mass", "dice"} <= set(judge.shown(rows[0]))
    assert len(judge.shown(rows[0])) == 10


def test_a_figure_follows_the_weights_of_the_images_that_define_it(masks: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    maps, images = torch.rand(2, 4, 1, 16, 16, generator=generator)
    judge = Judge(curve_steps=0)
    rows = judge.rows(maps, masks, images, score, score(images))
    statistic = judge.statistic(rows)
    assert "deletion" not in statistic(np.ones(4))
    assert statistic(np.array([0.0, 1, 0, 5]))["pixel_auroc"] == pytest.approx(rows[1]["pixel_auroc"])
    assert math.isnan(statistic(np.array([0.0, 0, 0, 1]))["pixel_auroc"])


def test_images_without_truth_alone_have_a_correlation_alone(masks: torch.Tensor) -> None:
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    rows = Judge().rows(images, masks & False, images, score, score(images))
    found = {name for name, value in Judge().statistic(rows)(np.ones(4)).items() if not math.isnan(value)}
    assert found == {"evidence_correlation"}


@pytest.mark.parametrize("arguments", [{"tolerance": -1}, {"threshold": 0}, {"curve_steps": -1}], ids=str)
def test_arguments_out_of_their_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected at least 0 px, a share above 0 and at most 1, and at least 0 steps"):
        Judge(**arguments)


def test_each_image_is_drawn_once_though_several_explanations_show_it_best() -> None:
    nan = float("nan")
    rows = {
        "a": [{"pixel_auroc": value} for value in (0.5, 0.9, 0.1, nan)],
        "b": [{"pixel_auroc": value} for value in (0.95, 0.9, 0.2, nan)],
        "nowhere": [{}] * 4,
        "constant": [{"pixel_auroc": 0.5}] * 4,
    }
    assert best_and_worst(rows) == {"best of a": 1, "worst of a": 2, "best of b": 0}


def test_a_picture_has_the_image_and_every_map_beside_each_other() -> None:
    mask = torch.zeros(1, 40, 60, dtype=torch.bool)
    mask[:, 10:20, 10:20] = True
    maps = {"strong": torch.full((1, 40, 60), 7.0), "empty": torch.zeros(1, 40, 60)}
    picture = draw_explanations(torch.full((1, 40, 60), 0.2), mask, maps, {"": "opacity 0.9"})
    assert picture.shape == (3, 160 + 14, 3 * 240 + 2 * 2)
    plain, strong, empty = (picture[:, 14:, start : start + 240] for start in (0, 242, 484))
    assert plain[:, 100, 200].tolist() == pytest.approx([0.2] * 3)
    assert torch.equal(plain, empty)
    assert strong[0, 100, 200] > 0.7
    assert plain[:, 40, 60].tolist() == pytest.approx([0.0, 0.8, 0.3])  # the edge of the truth
