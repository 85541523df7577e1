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
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import SSIMLoss
from torch import Tensor

from monai_lamps.losses import RestorationLoss, cell_errors, chosen_mean


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _plain(restored: Tensor, healthy: Tensor, lesion: Tensor, weight: float) -> Tensor:
    """Without SSIM, cell by cell, for 2-D images of 4 px cells."""
    columns, total = restored.shape[3] // 4, torch.zeros(())
    for b in range(len(restored)):
        parts: dict[bool, list[Tensor]] = {True: [], False: []}
        for cell in range(lesion.shape[1]):
            row, column = divmod(cell, columns)
            where = (b, slice(None), slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
            parts[bool(lesion[b, cell])].append((restored[where] - healthy[where]).square().mean())
        for chosen, factor in ((True, weight), (False, 1.0)):
            if parts[chosen]:
                total = total + factor * torch.stack(parts[chosen]).mean() / len(restored)
    return total


def test_value_and_gradient_equal_a_plain_double_loop() -> None:
    healthy, lesion = _draw(3, 2, 8, 12), torch.tensor([[1, 0, 0, 1, 0, 0], [0] * 6, [1] * 6]) > 0
    a, b = (_draw(3, 2, 8, 12, seed=1).requires_grad_() for _ in range(2))
    loss, plain = RestorationLoss(2.0, ssim_weight=0.0)(a, healthy, lesion), _plain(b, healthy, lesion, 2.0)
    torch.testing.assert_close(loss, plain)
    loss.backward()
    plain.backward()
    torch.testing.assert_close(a.grad, b.grad)


def test_similarity_is_that_of_images_brought_to_the_unit_range() -> None:
    healthy, restored, lesion = _draw(2, 1, 16, 16), _draw(2, 1, 16, 16, seed=1), torch.zeros(2, 4) > 0
    low, high = -2.0, 2.5
    scaled = [image * (high - low) + low for image in (restored, healthy)]
    args = {"value_range": (low, high)}
    without = RestorationLoss(ssim_weight=0.0, **args)(*scaled, lesion)
    both = RestorationLoss(ssim_weight=0.3, **args)(*scaled, lesion)
    torch.testing.assert_close(both - without, 0.3 * SSIMLoss(2)(restored, healthy), rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 3), st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_perfect_restoration_costs_nothing_and_every_other_something(
    seed: int, batch: int, cells: list[bool]
) -> None:
    healthy, lesion = _draw(batch, 1, 16, 16, seed=seed), torch.tensor([cells] * batch)
    loss = RestorationLoss()
    assert float(loss(healthy, healthy, lesion)) == pytest.approx(0, abs=1e-5)
    assert float(loss(healthy + 0.1, healthy, lesion)) > 0.005


def test_a_small_lesion_counts_as_much_as_the_rest() -> None:
    healthy, lesion = torch.zeros(1, 1, 16, 16), torch.arange(16)[None] == 5
    on, off = healthy.clone(), torch.ones_like(healthy)
    on[..., 4:8, 4:8] = 1
    off[..., 4:8, 4:8] = 0
    loss = RestorationLoss(ssim_weight=0.0)
    assert float(loss(on, healthy, lesion)) == float(loss(off, healthy, lesion)) == 1.0


def test_halves_of_a_batch_average_to_the_whole() -> None:
    healthy, restored = _draw(4, 1, 16, 16), _draw(4, 1, 16, 16, seed=1)
    lesion = torch.tensor([[True, False, False, False], [False] * 4, [True] * 4, [True, True, False, False]])
    loss = RestorationLoss()
    halves = [loss(restored[some], healthy[some], lesion[some]) for some in (slice(2), slice(2, 4))]
    torch.testing.assert_close(sum(halves) / 2, loss(restored, healthy, lesion))


def test_volumes_and_reduced_precision_are_taken() -> None:
    healthy, lesion = _draw(1, 1, 16, 16, 16), torch.zeros(1, 8) > 0
    with torch.autocast("cpu", torch.bfloat16):
        loss = RestorationLoss(spatial_dims=3)(_draw(1, 1, 16, 16, 16, seed=1).bfloat16(), healthy, lesion)
    assert loss.dtype == torch.float32
    assert float(loss) > 0


def test_the_mean_over_chosen_cells_is_taken_sample_by_sample() -> None:
    values = torch.tensor([[1.0, 3.0, 9.0], [5.0, 7.0, 9.0], [4.0, 4.0, 4.0]])
    chosen = torch.tensor([[True, True, False], [False, True, False], [False] * 3])
    assert float(chosen_mean(values, chosen)) == pytest.approx((2 + 7 + 0) / 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"lesion_weight": -1.0}, "weights must not be negative, got -1.0 and 0.1"),
        ({"ssim_weight": -0.1}, "weights must not be negative, got 1.0 and -0.1"),
        ({"value_range": (1.0, 1.0)}, r"low < high, got \(1.0, 1.0\)"),
    ],
)
def test_impossible_settings_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RestorationLoss(**kwargs)


@pytest.mark.parametrize(
    ("healthy", "cells", "message"),
    [
        ((2, 1, 8, 8), (2, 3), r"3 cells do not divide images of \(8, 12\) px evenly"),
        ((2, 1, 8, 12), (2, 96 * 4), r"384 cells do not divide images"),
        ((2, 1, 8, 12), (1, 6), r"expected lesion_cells \(B, N\) of shape \(2, 6\), got \(1, 6\)"),
    ],
)
def test_what_does_not_fit_is_refused(healthy, cells, message: str) -> None:
    restored = torch.zeros(2, 1, 8, 12)
    with pytest.raises(ValueError, match=message if healthy == (2, 1, 8, 12) else "expected healthy"):
        RestorationLoss(ssim_weight=0.0)(restored, torch.zeros(healthy), torch.zeros(cells) > 0)


def test_errors_of_cells_are_in_row_major_order() -> None:
    restored = torch.arange(6.0).view(1, 1, 2, 3).repeat_interleave(2, 2).repeat_interleave(2, 3)
    zeros = torch.zeros_like(restored)
    assert cell_errors(restored, zeros, 6).tolist() == cell_errors(zeros, restored, 6).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert cell_errors(zeros, restored, 6, power=2).tolist() == [[0, 1, 4, 9, 16, 25]]
