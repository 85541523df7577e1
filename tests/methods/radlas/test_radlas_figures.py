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
from torch import Tensor

from monai_lamps.methods.radlas import evidence_picture, heat, restoration_figures


def _batch() -> dict[str, Tensor]:
    healthy = torch.full((2, 1, 8, 8), 0.4)
    lesion = torch.zeros(2, 1, 8, 8)
    lesion[0, :, :4, :4] = 1.0
    lesion[1, :, 5, 5] = 0.1  # hardly visible
    return {"image": healthy + 0.3 * lesion, "healthy": healthy, "lesion": lesion}


def test_a_perfect_restoration_and_map_have_no_error_and_an_area_of_one() -> None:
    batch = _batch()
    figures = restoration_figures(batch, batch["healthy"], batch["lesion"], 4)
    assert float(figures["lesion_error"]) == float(figures["healthy_error"]) == 0
    assert float(figures["pixel_auroc"]) == 1
    assert float(figures["lesion_before"]) == pytest.approx((0.3 + 0.03 / 16) / 2, abs=1e-6)
    assert float(figures["lesion_removed"]) == 1


def test_leaving_the_lesion_there_is_as_bad_as_before_and_an_inverted_map_has_no_area() -> None:
    batch = _batch()
    figures = restoration_figures(batch, batch["image"], 1 - batch["lesion"], 4)
    assert figures["lesion_error"] == figures["lesion_before"]
    assert float(figures["lesion_removed"]) == 0
    assert float(figures["pixel_auroc"]) == 0


def test_a_constant_map_and_a_batch_without_lesions_are_chance() -> None:
    batch = _batch()
    assert float(restoration_figures(batch, batch["image"], torch.ones(2, 1, 8, 8), 4)["pixel_auroc"]) == 0.5
    none = {**batch, "lesion": torch.zeros(2, 1, 8, 8), "image": batch["healthy"]}
    figures = restoration_figures(none, batch["healthy"] + 0.1, torch.rand(2, 1, 8, 8), 4)
    assert float(figures["pixel_auroc"]) == 0.5
    assert float(figures["lesion_error"]) == 0
    assert float(figures["healthy_error"]) == pytest.approx(0.1)
    assert float(figures["lesion_removed"]) == 0


@pytest.mark.parametrize(("left", "removed"), [(0.25, 0.75), (-0.5, 0.5), (2.0, -1.0)])
def test_what_is_removed_is_a_share_of_the_lesions_and_not_of_the_cells_that_they_touch(
    left: float, removed: float
) -> None:
    batch = _batch()
    batch["lesion"][0, :, :4, 2:4] = 0.0  # half of the cell is free of it
    batch["image"] = batch["healthy"] + 0.3 * batch["lesion"]
    restored = batch["healthy"] + left * 0.3 * batch["lesion"] + 0.1 * (batch["lesion"] < 0.25)
    figures = restoration_figures(batch, restored, batch["lesion"], 4)
    assert float(figures["lesion_removed"]) == pytest.approx(removed, abs=1e-6)


def test_the_rim_of_a_lesion_counts_neither_as_lesion_nor_as_healthy() -> None:
    batch = _batch()
    hot = torch.zeros(2, 1, 8, 8)
    hot[0, :, :4, :4] = 0.5
    hot[1, :, 5, 5] = 1.0  # on the faint lesion
    assert float(restoration_figures(batch, batch["healthy"], hot, 4)["pixel_auroc"]) == 1


def test_a_sample_is_a_row_and_what_is_shown_a_column() -> None:
    shades = [torch.full((2, 1, 4, 6), shade) for shade in (0.1, 0.2, 0.3, 0.0, 1.0)]
    picture = evidence_picture(*shades)
    assert picture.shape == (3, 8, 30)
    for place, shade in ((0, 0.1), (6, 0.2), (12, 0.3), (24, 1.0)):
        assert bool((picture[:, :, place : place + 6] == shade).all())
    assert bool((picture[:, :, 18:24] < 0.05).all())


def test_of_volumes_the_central_slice_is_shown() -> None:
    volume = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 1, 4, 2, 2) / 4
    assert bool((evidence_picture(*[volume] * 5)[:, :, :2] == 0.5).all())


def test_more_evidence_is_brighter() -> None:
    colours = heat(torch.linspace(0, 1, 32).view(1, 1, 1, 32))
    brightness = colours.sum(dim=1).flatten()
    assert bool((brightness.diff() > 0).all())
    assert 0 <= float(colours.min()) <= float(colours.max()) <= 1
